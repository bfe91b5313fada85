package dev.clusterlocal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.naming.NamingException;
import javax.naming.directory.Attribute;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The cases that all clients share. */
class ConformanceTest {
  @TestFactory
  Stream<DynamicTest> cases() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("../conformance"))) {
      List<Path> cases = files.filter(path -> path.toString().endsWith(".json")).toList();
      assertTrue(cases.size() >= 6, "all cases are found");
      return cases.stream()
          .map(path -> DynamicTest.dynamicTest(path.getFileName().toString(), () -> run(path)));
    }
  }

  private static void run(Path path) throws Exception {
    JsonObject given = JsonParser.parseString(Files.readString(path)).getAsJsonObject();
    Cluster.Builder builder = Cluster.builder().topology(text(given, "topology"));
    if (given.has("options")) {
      given
          .getAsJsonObject("options")
          .asMap()
          .forEach((name, value) -> builder.flag(name, value.getAsString()));
    }
    try (Cluster cluster = builder.start()) {
      Map<String, Object> named = new HashMap<>();
      for (JsonElement step : given.getAsJsonArray("steps")) {
        check(cluster, step.getAsJsonObject(), named);
      }
    }
  }

  private static void check(Cluster cluster, JsonObject step, Map<String, Object> named)
      throws Exception {
    if (step.has("error")) {
      Throwable failure = assertThrows(Throwable.class, () -> step(cluster, step, named));
      assertTrue(failure.getMessage().contains(text(step, "error")), step + ": " + failure);
      return;
    }
    Object result = step(cluster, step, named);
    if (step.has("as")) {
      named.put(text(step, "as"), result);
    }
    if (step.has("names")) {
      List<String> expected = new ArrayList<>();
      step.getAsJsonArray("names").forEach(name -> expected.add(name.getAsString()));
      List<String> names = ((Change) result).names().stream().map(Object::toString).toList();
      assertEquals(expected, names, step.toString());
    }
  }

  private static Object step(Cluster cluster, JsonObject step, Map<String, Object> named)
      throws Exception {
    if (step.has("lookup")) {
      lookUp(cluster, step);
    } else if (step.has("queries")) {
      count(cluster, step, named);
    } else if (step.has("hits")) {
      int hits = ((Fault) named.get(text(step, "hits"))).hits();
      assertTrue(hits >= step.get("at-least").getAsInt(), step.toString());
    } else if (step.has("is")) {
      String address = cluster.pod(text(step, "address")).address().orElse("");
      assertEquals(text(step, "is"), address);
    } else {
      return call(cluster, step, named);
    }
    return null;
  }

  private static Object call(Cluster cluster, JsonObject step, Map<String, Object> named) {
    String name = text(step, "name");
    Pod pod = cluster.pod(name);
    Node node = cluster.node(name);
    switch (text(step, "do")) {
      case "scale":
        return cluster.scale(name, step.get("replicas").getAsInt());
      case "rollout":
        return cluster.rollout(name);
      case "apply":
        return cluster.apply(text(step, "manifests"));
      case "delete":
        return cluster.delete(text(step, "kind"), name);
      case "advance":
        return cluster.advance(duration(step, "by"));
      case "mark":
        return cluster.mark();
      case "wait-for-change":
        return cluster.waitForChange(
            (Mark) named.get(text(step, "after")), duration(step, "within"));
      case "fault":
        return fault(cluster, step);
      case "end":
        return ((Fault) named.get(text(step, "of"))).end();
      case "pod/ready":
        return pod.ready();
      case "pod/unready":
        return pod.unready();
      case "pod/crash":
        return pod.crash();
      case "pod/bind":
        return pod.bind(text(step, "port"), text(step, "address"));
      case "pod/delete":
        return pod.delete();
      case "pod/force-delete":
        return pod.forceDelete();
      case "pod/restart":
        return step.has("address") ? pod.restart(text(step, "address")) : pod.restart();
      case "node/down":
        return node.down();
      case "node/off":
        return node.off();
      case "node/up":
        return node.up();
      case "node/reboot":
        return node.reboot();
      default:
        throw new IllegalArgumentException("a verb that the client does not have: " + step);
    }
  }

  private static Fault fault(Cluster cluster, JsonObject step) {
    Fault.Match match = step.has("on") ? Fault.Match.on(text(step, "on")) : Fault.Match.all();
    if (step.has("types")) {
      match.types(step.getAsJsonArray("types").get(0).getAsString());
    }
    if (step.has("transport")) {
      match.transport(text(step, "transport"));
    }
    if (step.has("times")) {
      match.times(step.get("times").getAsInt());
    }
    if (step.has("name")) {
      match.named(text(step, "name"));
    }
    return cluster.fault(text(step, "does"), match);
  }

  private static void count(Cluster cluster, JsonObject step, Map<String, Object> named) {
    Queries queries = cluster.queries();
    for (Map.Entry<String, JsonElement> field : step.getAsJsonObject("queries").entrySet()) {
      String value = field.getValue().getAsString();
      queries =
          switch (field.getKey()) {
            case "name" -> queries.name(value);
            case "type" -> queries.type(value);
            case "transport" -> queries.transport(value);
            case "fault" -> queries.fault(value);
            case "after" -> queries.after((Mark) named.get(value));
            default -> throw new IllegalArgumentException(field.getKey());
          };
    }
    if (step.has("at-least")) {
      queries.waitFor(step.get("at-least").getAsInt(), duration(step, "within"));
    } else {
      assertEquals(step.get("count").getAsInt(), queries.count(), step.toString());
    }
  }

  private static void lookUp(Cluster cluster, JsonObject step) throws NamingException {
    int records = 0;
    boolean fails = false;
    String type = text(step, "type");
    try {
      Attribute found =
          cluster.jndi().getAttributes(text(step, "lookup"), new String[] {type}).get(type);
      records = found == null ? 0 : found.size();
    } catch (NamingException failure) {
      fails = true;
    }
    assertEquals(step.has("fails"), fails, step.toString());
    assertEquals(step.has("records") ? step.get("records").getAsInt() : 0, records, "" + step);
  }

  private static Duration duration(JsonObject step, String field) {
    String text = text(step, field);
    return text.endsWith("ms")
        ? Duration.ofMillis(Long.parseLong(text.replace("ms", "")))
        : Duration.ofSeconds(Long.parseLong(text.replace("s", "")));
  }

  private static String text(JsonObject object, String field) {
    return Api.text(object, field);
  }
}
