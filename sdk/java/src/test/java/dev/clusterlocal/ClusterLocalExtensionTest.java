package dev.clusterlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

class ClusterLocalExtensionTest {
  /** Runs a class of tests, and returns what it printed to standard error. */
  private static String run(Class<?> type, long succeeding, long failing) {
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    PrintStream before = System.err;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setErr(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      LauncherFactory.create()
          .execute(
              LauncherDiscoveryRequestBuilder.request().selectors(selectClass(type)).build(),
              listener);
    } finally {
      System.setErr(before);
    }
    assertEquals(succeeding, listener.getSummary().getTestsSucceededCount());
    assertEquals(failing, listener.getSummary().getTestsFailedCount());
    return printed.toString(StandardCharsets.UTF_8);
  }

  @Test
  void fieldsAreStartedForTheClassOrForEachTest() {
    run(Fields.class, 2, 0);
    assertNotSame(Fields.first, Fields.second);
    assertEquals(0, ProcessHandle.current().children().filter(ProcessHandle::isAlive).count());
  }

  @Test
  void registeredExtensionStartsItsClusterForParameters() {
    run(Registered.class, 1, 0);
  }

  @Test
  void failedTestPrintsTheQueries() {
    String printed = run(Failing.class, 0, 1);
    assertTrue(
        printed.contains("\"A IN db-0.db.default.svc.cluster.local. udp\" NOERROR"), printed);
  }

  @TestMethodOrder(MethodOrderer.OrderAnnotation.class)
  static class Fields {
    static Cluster first;
    static Cluster second;
    static Cluster shared;

    @ClusterLocal(topology = "sets: {db: {replicas: 1}}")
    static Cluster ofClass;

    @ClusterLocal(
        value = "ring.yaml",
        flags = {"--clock", "manual"})
    Cluster ofTest;

    @Test
    @Order(1)
    void one() {
      first = ofTest;
      shared = ofClass;
      assertTrue(ofTest.pod("db-2").isReady());
      assertNotEquals(ofClass.dnsAddr(), ofTest.dnsAddr());
    }

    @Test
    @Order(2)
    void two() {
      second = ofTest;
      assertSame(shared, ofClass);
    }
  }

  static class Registered {
    @RegisterExtension
    static final ClusterLocalExtension CLUSTER =
        new ClusterLocalExtension(Cluster.builder().topology("sets: {db: {replicas: 2}}"));

    @Test
    void one(Cluster cluster) {
      assertTrue(cluster.pod("db-1").isReady());
    }
  }

  static class Failing {
    @Test
    void one(@ClusterLocal(topology = "sets: {db: {replicas: 1}}") Cluster cluster)
        throws Exception {
      cluster.jndi().getAttributes("db-0.db.default.svc.cluster.local", new String[] {"A"});
      fail("the test fails");
    }
  }
}
