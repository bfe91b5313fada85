package dev.clusterlocal;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClusterTest {
  static final String TOPOLOGY = "sets: {db: {replicas: 3, ports: {peer: 7000}}}";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[ \"$1\" = --version ] && echo clusterlocal 0.0.9 || exit 2",
        "echo '{\"version\": \"0.0.9\"}'; exec sleep 60"
      })
  void olderProgramIsRefusedWithBothVersions(String lines, @TempDir Path folder)
      throws IOException {
    Path program = Files.writeString(folder.resolve("clusterlocal"), "#!/bin/sh\n" + lines + "\n");
    assertTrue(program.toFile().setExecutable(true));
    Cluster.Builder builder = Cluster.builder().program(program.toString());
    String message = assertThrows(ClusterException.class, builder::start).getMessage();
    assertTrue(message.contains("clusterlocal 0.0.9"), message);
    assertTrue(message.contains(Version.VERSION), message);
  }

  @Test
  void invalidManifestsAreTheError() {
    Cluster.Builder builder = Cluster.builder().manifests("apiVersion: v1");
    assertTrue(assertThrows(ClusterException.class, builder::start).getMessage().contains("kind"));
  }

  @Test
  void unexpectedQueriesAreListed(@ClusterLocal(topology = TOPOLOGY) Cluster cluster)
      throws Exception {
    cluster.queries().assertNone();
    cluster.jndi().getAttributes("db-1.db.default.svc.cluster.local", new String[] {"A"});
    Queries queries = cluster.queries().name("db-1.*");
    String message = assertThrows(AssertionError.class, queries::assertNone).getMessage();
    assertTrue(message.contains("db-1.db.default"), message);
    assertTrue(cluster.changes().contains("the cluster began"));
    assertTrue(cluster.kubeconfig().contains(cluster.apiUrl()));
  }

  @Test
  void closedFaultHasNoEffect(@ClusterLocal(topology = TOPOLOGY) Cluster cluster) {
    try (Fault fault = cluster.fault("servfail")) {
      assertEquals(0, fault.hits());
      fault.end();
    }
    assertThrows(ClusterException.class, () -> cluster.delete("Fault", "fault-1"));
  }

  @Test
  void fiftyClustersRunInParallel() throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(50);
    Callable<Integer> one =
        () -> {
          try (Cluster cluster = Cluster.builder().topology(TOPOLOGY).start()) {
            return cluster.scale("db", 4).names().size();
          }
        };
    List<Future<Integer>> all =
        pool.invokeAll(IntStream.range(0, 50).mapToObj(number -> one).toList());
    for (Future<Integer> each : all) {
      assertEquals(1, each.get());
    }
    pool.shutdown();
    assertTrue(ProcessHandle.current().children().noneMatch(ProcessHandle::isAlive));
  }

  /** A runner that is killed. */
  static final class Runner {
    public static void main(String[] arguments) throws InterruptedException {
      Cluster cluster = Cluster.builder().start();
      System.out.println(ProcessHandle.current().children().findFirst().orElseThrow().pid());
      Thread.sleep(Duration.ofMinutes(1).toMillis());
      cluster.close();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void noServerOutlivesItsRunner(boolean isKilled) throws Exception {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process runner =
        new ProcessBuilder(
                java, "-cp", System.getProperty("java.class.path"), Runner.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    long pid;
    try (BufferedReader lines = runner.inputReader()) {
      pid = Long.parseLong(lines.readLine());
      assertNotEquals(0, pid);
      Process ended = isKilled ? runner.destroyForcibly() : runner;
      ended.destroy();
      assertTrue(ended.waitFor(10, TimeUnit.SECONDS));
    }
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (isAlive(pid)) {
      assertTrue(System.nanoTime() < end, "the server outlived its runner");
      Thread.onSpinWait();
    }
  }

  /** Whether the process runs; one that has ended may wait for its new parent. */
  private static boolean isAlive(long pid) {
    Path stat = Path.of("/proc", Long.toString(pid), "stat");
    if (Files.isDirectory(Path.of("/proc/self"))) {
      try {
        return !Files.readString(stat).contains(") Z ");
      } catch (IOException ended) {
        return false;
      }
    }
    return ProcessHandle.of(pid).isPresent();
  }

  @Test
  void closeMayBeCalledTwice() {
    Cluster cluster = Cluster.builder().start();
    assertFalse(cluster.pod("db-0").address().isPresent());
    cluster.close();
    assertDoesNotThrow(cluster::close);
  }
}
