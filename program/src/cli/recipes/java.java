// Java: SRV records and all others through JNDI, and every connection by name through a hosts file.
// InetAddress uses the resolver of the system only. The JDK can read a hosts file instead, at each lookup:
//   clusterlocal records -o hosts cassandra.yaml > cluster.hosts
//   java -Djdk.net.hosts.file=cluster.hosts -Dsun.net.inetaddr.ttl=0 -Dsun.net.inetaddr.negative.ttl=0
// Other names: only those of the hosts file are found; append more lines to it (cat /etc/hosts >> cluster.hosts).
// Names are complete. Save as Clusterlocal.java.
import java.util.ArrayList;
import java.util.Collections;
import java.util.Hashtable;
import java.util.List;
import javax.naming.Context;
import javax.naming.NamingException;
import javax.naming.directory.InitialDirContext;

final class Clusterlocal {
    /** The data of records: lookup("_cql._tcp.cassandra.default.svc.cluster.local", "SRV") is "0 33 9042 TARGET" and so on. */
    static List<String> lookup(String name, String type) throws NamingException {
        var settings = new Hashtable<String, String>();
        settings.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.dns.DnsContextFactory");
        settings.put(Context.PROVIDER_URL, "dns://127.0.0.1:10053/");
        var context = new InitialDirContext(settings);
        try {
            var found = context.getAttributes(name, new String[] {type}).get(type);
            var records = new ArrayList<String>();
            for (var record : found == null ? List.of() : Collections.list(found.getAll())) records.add((String) record);
            return records;
        } finally {
            context.close();
        }
    }
}
