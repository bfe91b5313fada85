package dev.clusterlocal;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.UnsupportedEncodingException;
import java.net.URLEncoder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A selection of the queries that a cluster received. Each method narrows a copy of it. */
public final class Queries {
  private final Api api;
  private final String fields;
  private final Mark after;

  Queries(Api api) {
    this(api, "", null);
  }

  private Queries(Api api, String fields, Mark after) {
    this.api = api;
    this.fields = fields;
    this.after = after;
  }

  private Queries with(String field, String value) {
    return new Queries(api, (fields.isEmpty() ? "" : fields + ",") + field + "=" + value, after);
  }

  /** Selects names that match a pattern: {@code db-1.*}. */
  public Queries name(String pattern) {
    return with("name", pattern);
  }

  /** Selects queries of this type. */
  public Queries type(String type) {
    return with("type", type);
  }

  /** Selects queries from this address. */
  public Queries client(String address) {
    return with("client", address);
  }

  /** Selects queries from the pod {@code NAME} or {@code NAMESPACE/NAME}. */
  public Queries pod(String name) {
    return with("pod", name);
  }

  /** Selects queries over {@code udp}, or over {@code tcp}. */
  public Queries transport(String transport) {
    return with("transport", transport);
  }

  /** Selects queries that were answered with this code; {@code none}: that were not answered. */
  public Queries rcode(String rcode) {
    return with("rcode", rcode);
  }

  /** Selects queries that this fault hit. */
  public Queries fault(String name) {
    return with("fault", name);
  }

  /** Selects queries that arrived after a mark, or after the DNS showed a change. */
  public Queries after(Mark mark) {
    return new Queries(api, fields, mark);
  }

  private List<Query> ask(String expected, Duration wait) {
    StringBuilder path = new StringBuilder("/apis/clusterlocal.dev/v1/queries?fieldSelector=");
    try {
      path.append(URLEncoder.encode(fields, "UTF-8")).append(expected);
    } catch (UnsupportedEncodingException impossible) {
      throw new AssertionError(impossible);
    }
    if (after != null) {
      path.append("&sinceSerial=").append(after.serial());
      path.append("&sinceQuery=").append(after.query());
    }
    List<Query> found = new ArrayList<>();
    try {
      JsonObject list = api.call("GET", path.toString(), null, wait);
      for (JsonElement item : list.getAsJsonArray("items")) {
        found.add(new Query(item.getAsJsonObject()));
      }
    } catch (ClusterException failure) {
      if (failure.reason().equals("ExpectationFailed")) {
        throw new AssertionError(failure.getMessage());
      }
      throw failure;
    }
    return found;
  }

  /** Returns the queries so far, oldest first. */
  public List<Query> all() {
    return ask("", Duration.ZERO);
  }

  /** Returns the number of queries so far. */
  public int count() {
    return all().size();
  }

  /**
   * Waits until there are at least {@code count} queries, and returns them.
   *
   * @throws AssertionError if there are fewer by then, with the latest queries of any kind
   */
  public List<Query> waitFor(int count, Duration within) {
    return ask("&atLeast=" + count + "&within=" + Api.span(within), within);
  }

  /**
   * Fails if there is a query.
   *
   * @throws AssertionError that lists them
   */
  public void assertNone() {
    ask("&atMost=0", Duration.ZERO);
  }

  /** A query and its answer. */
  public static final class Query {
    private final JsonObject item;

    Query(JsonObject item) {
      this.item = item;
    }

    /** Returns the name in the question, with its final dot. */
    public String name() {
      return Api.text(item, "name");
    }

    /** Returns the type in the question. */
    public String type() {
      return Api.text(item, "type");
    }

    /** Returns the address and port of the client. */
    public String client() {
      return Api.text(item, "client");
    }

    /** Returns the pod that has or had the client's address; empty if there is none. */
    public String pod() {
      return Api.text(item, "pod");
    }

    /** Returns {@code udp} or {@code tcp}. */
    public String transport() {
      return Api.text(item, "transport");
    }

    /** Returns the response code; empty if there was no reply. */
    public String rcode() {
      return Api.text(item, "rcode");
    }

    /** Returns the name of the fault that hit it; empty if there is none. */
    public String fault() {
      return Api.text(item, "fault");
    }

    /** Returns the query in the format of CoreDNS's log. */
    @Override
    public String toString() {
      return Api.text(item, "line");
    }
  }
}
