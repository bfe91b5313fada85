package dev.clusterlocal;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.time.Duration;

/** A fault in a cluster. It lasts until it is closed. */
public final class Fault implements AutoCloseable {
  private final Api api;
  private final String name;

  Fault(Api api, String name) {
    this.api = api;
    this.name = name;
  }

  /** Returns the name of the fault, as in the query log. */
  public String name() {
    return name;
  }

  /** Returns the number of queries and connections that it has hit. */
  public int hits() {
    JsonObject fault = api.get("/apis/clusterlocal.dev/v1/faults/" + name);
    return fault.getAsJsonObject("status").get("hits").getAsInt();
  }

  /** Ends the fault and returns the change, for queries after it. */
  public Change end() {
    JsonObject given = new JsonObject();
    given.addProperty("kind", "Fault");
    given.addProperty("name", name);
    return api.change("delete", given);
  }

  @Override
  public void close() {
    try {
      end();
    } catch (ClusterException failure) {
      // The test has ended it.
      if (!failure.reason().equals("NotFound")) {
        throw failure;
      }
    }
  }

  /** Selects the queries of a fault, and when it is in force. */
  public static final class Match {
    final JsonObject match = new JsonObject();
    final JsonObject spec = new JsonObject();
    String name;

    private Match() {
      spec.add("match", match);
    }

    /** Selects all queries. */
    public static Match all() {
      return new Match();
    }

    /** Selects names that match a pattern: {@code _peer._tcp.*}. */
    public static Match on(String pattern) {
      Match selected = new Match();
      selected.match.addProperty("name", pattern);
      return selected;
    }

    /** Selects queries of these types. */
    public Match types(String... types) {
      match.add("types", list(types));
      return this;
    }

    /** Selects queries over {@code udp}, or over {@code tcp}. */
    public Match transport(String transport) {
      match.addProperty("transport", transport);
      return this;
    }

    /** Selects queries of these pods, addresses or networks. */
    public Match clients(String... clients) {
      match.add("clients", list(clients));
      return this;
    }

    /** Hits each {@code count}th query. */
    public Match every(int count) {
      match.addProperty("every", count);
      return this;
    }

    /** Hits with a probability, drawn from a seed. */
    public Match probability(double probability, long seed) {
      match.addProperty("probability", probability);
      spec.addProperty("seed", seed);
      return this;
    }

    /** Sets the maximum number of hits. */
    public Match times(int times) {
      spec.addProperty("times", times);
      return this;
    }

    /** Sets the priority: faults of higher ones are tried first. */
    public Match priority(int priority) {
      spec.addProperty("priority", priority);
      return this;
    }

    /** Starts this long after its creation, on the cluster's clock. */
    public Match after(Duration time) {
      spec.addProperty("after", Api.span(time));
      return this;
    }

    /** Ends after this time, on the cluster's clock. */
    public Match lasting(Duration time) {
      spec.addProperty("for", Api.span(time));
      return this;
    }

    /** Sets the name of the fault. */
    public Match named(String name) {
      this.name = name;
      return this;
    }

    private static JsonArray list(String... texts) {
      JsonArray list = new JsonArray();
      for (String text : texts) {
        list.add(text);
      }
      return list;
    }
  }
}
