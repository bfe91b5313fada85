package dev.clusterlocal;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Hashtable;
import java.util.List;
import javax.naming.Context;
import javax.naming.NamingException;
import javax.naming.directory.DirContext;
import javax.naming.directory.InitialDirContext;

/**
 * A cluster for tests: its DNS, its API and its pods. {@link #close} ends all of them. Threads may
 * share it.
 *
 * <p>Objects are named as in kubectl: {@code db-0} is in the namespace {@code default}, {@code
 * ring/db-0} in {@code ring}. Methods return when the DNS shows the change, and throw a {@link
 * ClusterException} if there is no such object, or after 30 seconds of a rollout.
 */
public final class Cluster implements AutoCloseable {
  private final Program program;
  private final Api api;

  private Cluster(Program program) {
    this.program = program;
    this.api = new Api(apiUrl());
  }

  /** Returns a builder with the default configuration. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns the address of the DNS, the same for UDP and TCP: {@code 127.0.0.1:36439}. */
  public String dnsAddr() {
    return program.ready.getAsJsonArray("dns").get(0).getAsString();
  }

  /** Returns the address of the DNS, for libraries such as dnsjava and Netty. */
  public InetSocketAddress dns() {
    int colon = dnsAddr().lastIndexOf(':');
    int port = Integer.parseInt(dnsAddr().substring(colon + 1));
    return new InetSocketAddress(dnsAddr().substring(0, colon), port);
  }

  /** Returns the URL of the Kubernetes API, for client libraries. */
  public String apiUrl() {
    return Api.text(program.ready, "api");
  }

  /** Returns the content of a kubeconfig for the API. */
  public String kubeconfig() {
    return Api.text(program.ready, "kubeconfig");
  }

  /** Returns the cluster domain. */
  public String domain() {
    return Api.text(program.ready, "domain");
  }

  /** Returns the search domains of a pod in a namespace. */
  public List<String> search(String namespace) {
    return Arrays.asList(namespace + ".svc." + domain(), "svc." + domain(), domain());
  }

  /** Returns the URL of the DNS for JNDI, {@code java.naming.provider.url}. */
  public String jndiUrl() {
    return "dns://" + dnsAddr();
  }

  /**
   * Returns a context of JNDI that asks the cluster: {@code getAttributes(name, new String[]
   * {"SRV"})}, with full names.
   *
   * @throws NamingException if the module {@code jdk.naming.dns} is absent
   */
  public DirContext jndi() throws NamingException {
    Hashtable<String, String> environment = new Hashtable<>();
    environment.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.dns.DnsContextFactory");
    environment.put(Context.PROVIDER_URL, jndiUrl());
    return new InitialDirContext(environment);
  }

  /** Sets the replicas of a StatefulSet, Deployment or ReplicaSet, and waits for its pods. */
  public Change scale(String name, int replicas) {
    JsonObject given = named(name);
    given.addProperty("replicas", replicas);
    return api.change("scale", given);
  }

  /**
   * Waits until a StatefulSet, Deployment or ReplicaSet has all its pods, of its latest template
   * and ready.
   */
  public Change rollout(String name) {
    return api.change("rollout", named(name));
  }

  /** Creates or updates the objects of a YAML stream. */
  public Change apply(String manifests) {
    JsonObject given = new JsonObject();
    given.addProperty("manifests", manifests);
    return api.change("apply", given);
  }

  /** Deletes the object of this kind and name. */
  public Change delete(String kind, String name) {
    JsonObject given = named(name);
    given.addProperty("kind", kind);
    return api.change("delete", given);
  }

  /** Advances the clock. When it returns, everything due by then has happened. */
  public Change advance(Duration by) {
    JsonObject given = new JsonObject();
    given.addProperty("by", Api.span(by));
    return api.change("advance", given);
  }

  /** Returns the current position, for queries that arrive after it. */
  public Mark mark() {
    return new Mark(api.call("POST", "/fixture/mark", new JsonObject(), Duration.ZERO));
  }

  /** Waits for a change of the DNS after a mark, such as a saved file. */
  public Change waitForChange(Mark after, Duration within) {
    JsonObject given = new JsonObject();
    given.addProperty("serial", after.serial());
    given.addProperty("query", after.query());
    given.addProperty("within", Api.span(within));
    return new Change(api.call("POST", "/fixture/wait-for-change", given, within));
  }

  /** Returns a handle of the pod {@code NAME} or {@code NAMESPACE/NAME}. */
  public Pod pod(String name) {
    return new Pod(api, name);
  }

  /** Returns a handle of the node. */
  public Node node(String name) {
    return new Node(api, name);
  }

  /**
   * Adds a fault: {@code servfail}, {@code delay 3s, refused}, the preset {@code dns-outage 30s},
   * or in turn {@code ok | drop}.
   */
  public Fault fault(String does, Fault.Match match) {
    JsonObject given = new JsonObject();
    given.addProperty("does", does);
    given.add("spec", match.spec);
    if (match.name != null) {
      given.addProperty("name", match.name);
    }
    JsonObject added = api.call("POST", "/fixture/fault", given, Duration.ZERO);
    return new Fault(api, Api.text(added, "name"));
  }

  /** Adds a fault for all queries. */
  public Fault fault(String does) {
    return fault(does, Fault.Match.all());
  }

  /** Returns all queries so far. */
  public Queries queries() {
    return new Queries(api);
  }

  /** Returns the changes of the DNS as JSON, each with its time, serial, cause and names. */
  public String changes() {
    return request("GET", "/apis/clusterlocal.dev/v1/changes", null);
  }

  /** Sends a request to the Kubernetes API, with JSON or null, and returns JSON; PATCH excepted. */
  public String request(String method, String path, String body) {
    JsonObject given = body == null ? null : JsonParser.parseString(body).getAsJsonObject();
    return api.call(method, path, given, Duration.ZERO).toString();
  }

  /** Ends the cluster. */
  @Override
  public void close() {
    program.stop();
  }

  private static JsonObject named(String name) {
    JsonObject given = new JsonObject();
    given.addProperty("name", name);
    return given;
  }

  /** Configuration of a cluster before it is started. */
  public static final class Builder {
    private static final String TOPOLOGY = "apiVersion: clusterlocal.dev/v1\nkind: Topology\n";

    /** A cluster without objects; the program takes empty input for a mistake. */
    private static final String EMPTY = "apiVersion: v1\nkind: List\nitems: []\n";

    private final List<String> flags = new ArrayList<>();
    private final List<String> paths = new ArrayList<>();
    private final List<String> manifests = new ArrayList<>();
    private String program;

    private Builder() {}

    /** Adds the objects of a YAML stream. */
    public Builder manifests(String yaml) {
      manifests.add(yaml);
      return this;
    }

    /** Adds a cluster in the short form: {@code sets: {db: {replicas: 3}}}. */
    public Builder topology(String yaml) {
      return manifests(TOPOLOGY + yaml);
    }

    /** Adds a file or a directory of manifests, which the cluster follows. */
    public Builder path(String path) {
      paths.add(path);
      return this;
    }

    /** Sets a flag of {@code clusterlocal serve}: {@code flag("clock", "manual")}. */
    public Builder flag(String name, String... values) {
      flags.add("--" + name);
      flags.addAll(Arrays.asList(values));
      return this;
    }

    /** Adds an argument of {@code clusterlocal serve}. */
    Builder argument(String argument) {
      flags.add(argument);
      return this;
    }

    /** Sets the path of the program. */
    public Builder program(String path) {
      program = path;
      return this;
    }

    /**
     * Starts the cluster.
     *
     * @throws ClusterException if the program cannot be started, or refuses the manifests
     */
    public Cluster start() {
      List<String> texts = new ArrayList<>(manifests);
      if (texts.isEmpty() && paths.isEmpty()) {
        texts.add(EMPTY);
      }
      List<String> arguments = new ArrayList<>(flags);
      arguments.addAll(paths);
      if (!texts.isEmpty()) {
        arguments.add("-");
      }
      return new Cluster(new Program(program, arguments, String.join("\n---\n", texts)));
    }
  }
}
