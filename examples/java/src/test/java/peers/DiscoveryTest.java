package peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.clusterlocal.Change;
import dev.clusterlocal.Cluster;
import dev.clusterlocal.ClusterLocal;
import dev.clusterlocal.Fault;
import java.time.Duration;
import java.util.Set;
import javax.naming.NamingException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DiscoveryTest {
  @ClusterLocal(topology = "sets: {db: {replicas: 3, ports: {peer: 7000}}}")
  Cluster cluster;

  Discovery discovery;

  @BeforeEach
  void start() throws NamingException {
    discovery = new Discovery(cluster.jndi(), "_peer._tcp.db.default.svc.cluster.local");
  }

  @Test
  void knownPeersSurviveAnOutageAndAScaledSetIsFound() {
    Set<String> known = discovery.refresh();
    try (Fault outage = cluster.fault("servfail", Fault.Match.on("_peer._tcp.*"))) {
      assertEquals(known, discovery.refresh());
    }
    cluster.scale("db", 5);
    assertEquals(5, discovery.refresh().size());
  }

  @Test
  void replacedPodIsFoundAtItsNewAddress() {
    Change change = cluster.pod("db-1").restart();
    assertTrue(discovery.refresh().contains(cluster.pod("db-1").address().get() + ":7000"));
    cluster.queries().name("db-1.*").after(change).waitFor(1, Duration.ofSeconds(10));
  }

  @Test
  void truncatedAnswerIsRepeatedOverTcp() {
    cluster.fault("truncate", Fault.Match.on("_peer._tcp.*").transport("udp"));
    assertEquals(3, discovery.refresh().size());
    assertEquals(1, cluster.queries().type("SRV").transport("tcp").count());
  }
}
