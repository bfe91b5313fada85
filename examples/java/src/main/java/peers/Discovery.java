package peers;

import java.util.Set;
import java.util.TreeSet;
import javax.naming.NameNotFoundException;
import javax.naming.NamingException;
import javax.naming.directory.Attribute;
import javax.naming.directory.DirContext;

/** Peer discovery by the SRV records of a headless Service; known peers survive an outage of the DNS. */
public final class Discovery {
  private final DirContext dns;
  private final String service;
  private Set<String> peers = Set.of();

  public Discovery(DirContext dns, String service) {
    this.dns = dns;
    this.service = service;
  }

  /** Looks up all peers again, as {@code address:port}. No such name means no peer. */
  public Set<String> refresh() {
    try {
      Attribute records = look(service, "SRV");
      Set<String> found = new TreeSet<>();
      for (int i = 0; records != null && i < records.size(); i++) {
        // Priority, weight, port, target.
        String[] record = records.get(i).toString().split(" ");
        found.add(look(record[3], "A").get() + ":" + record[2]);
      }
      peers = found;
    } catch (NameNotFoundException absent) {
      peers = Set.of();
    } catch (NamingException outage) {
      // The last list stays.
    }
    return peers;
  }

  private Attribute look(String name, String type) throws NamingException {
    return dns.getAttributes(name, new String[] {type}).get(type);
  }
}
