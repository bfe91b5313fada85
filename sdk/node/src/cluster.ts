import { promises } from "node:dns";

import { Api, type Duration, span } from "./api.js";
import { Fault } from "./fault.js";
import { type Lookup, lookupWith } from "./lookup.js";
import type { Change, Mark } from "./marks.js";
import { Node, Pod } from "./objects.js";
import { Program, type Ready } from "./program.js";
import { Queries, type QueryOptions } from "./queries.js";

const TOPOLOGY = "apiVersion: clusterlocal.dev/v1\nkind: Topology\n";

/** A cluster without objects; the program takes empty input for a mistake. */
const EMPTY = "apiVersion: v1\nkind: List\nitems: []\n";

/** Maximum of queries that a failed test prints. */
const LISTED_QUERIES = 10;

/** What a cluster begins with. */
export interface ClusterOptions {
  /** Objects as YAML. */
  readonly manifests?: string;
  /** A cluster in the short form: `sets: {db: {replicas: 3}}`. */
  readonly topology?: string;
  /** Files and directories, which the cluster follows. */
  readonly paths?: readonly string[];
  /** Path of the program. */
  readonly program?: string;
  /** Flags of `clusterlocal serve`: `{ clock: "manual", "ready-delay": "5s", recursive: true }`. */
  readonly flags?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** Selects the queries of a fault, and when it is in force. Fields that are absent select all. */
export interface FaultOptions {
  /** Pattern of names: `_peer._tcp.*`. */
  readonly on?: string;
  readonly types?: readonly string[];
  readonly transport?: "udp" | "tcp";
  /** Pods, addresses or networks. */
  readonly clients?: readonly string[];
  readonly every?: number;
  readonly probability?: number;
  readonly times?: number;
  readonly priority?: number;
  /** Times on the cluster's clock. */
  readonly after?: Duration;
  readonly for?: Duration;
  readonly seed?: number;
  /** Name of the fault. */
  readonly name?: string;
}

/**
 * A cluster for tests: its DNS, its API and its pods. `stop`, or `await using`, ends all of them.
 *
 * Objects are named as in kubectl: `db-0` is in the namespace `default`, `ring/db-0` in `ring`. Methods are done when the DNS
 * shows the change, and throw a ClusterError if there is no such object, or after 30 seconds of a rollout.
 */
export class Cluster {
  /** Asks the cluster, with full names. */
  readonly dns: promises.Resolver;
  private readonly api: Api;

  private constructor(
    private readonly program: Program,
    private readonly ready: Ready,
  ) {
    this.api = new Api(ready.api);
    this.dns = new promises.Resolver();
    this.dns.setServers([this.dnsAddr]);
  }

  /** Starts a cluster. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { manifests, topology, paths = [], program, flags = {} } = options;
    const texts = [manifests, topology && TOPOLOGY + topology].filter((text) => text !== undefined && text !== "");
    if (texts.length === 0 && paths.length === 0) {
      texts.push(EMPTY);
    }
    const words = [...Object.entries(flags).flatMap(flag), ...paths, ...(texts.length > 0 ? ["-"] : [])];
    return new Cluster(...(await Program.start(program, words, texts.join("\n---\n"))));
  }

  /** Starts a cluster for `test`, and ends it. If the test fails, the latest queries are printed. */
  static async use<Result>(options: ClusterOptions, test: (cluster: Cluster) => Promise<Result>): Promise<Result> {
    const cluster = await Cluster.start(options);
    try {
      return await test(cluster);
    } catch (error) {
      const latest = await cluster.queries().all();
      const lines = latest.slice(-LISTED_QUERIES).map(({ line }) => `\n  ${line}`);
      console.error(`clusterlocal: the latest ${lines.length} queries of the cluster${lines.join("")}`);
      throw error;
    } finally {
      await cluster.stop();
    }
  }

  /** Address of the DNS, the same for UDP and TCP: `127.0.0.1:36439`. */
  get dnsAddr(): string {
    return this.ready.dns[0] ?? "";
  }

  /** URL of the Kubernetes API, for client libraries. */
  get apiUrl(): string {
    return this.ready.api;
  }

  /** Content of a kubeconfig for the API, for `loadFromString`. */
  get kubeconfig(): string {
    return this.ready.kubeconfig;
  }

  /** The cluster domain. */
  get domain(): string {
    return this.ready.domain;
  }

  /** Process ID of the server. */
  get pid(): number {
    return this.program.pid;
  }

  /** Returns the search domains of a pod in a namespace. */
  search(namespace = "default"): string[] {
    return [`${namespace}.svc.${this.domain}`, `svc.${this.domain}`, this.domain];
  }

  /** A function like `dns.lookup`, as in a pod of `default`: for `new http.Agent({ lookup })` and undici. */
  get lookup(): Lookup {
    return lookupWith(this.dns, this.search());
  }

  /** Sets the number of replicas of a StatefulSet, Deployment or ReplicaSet, and waits for its pods. */
  scale(name: string, replicas: number): Promise<Change> {
    return this.api.change("scale", { name, replicas });
  }

  /** Waits until a StatefulSet, Deployment or ReplicaSet has all its pods, of its latest template and ready. */
  rollout(name: string): Promise<Change> {
    return this.api.change("rollout", { name });
  }

  /** Creates or updates the objects of a YAML stream. */
  apply(manifests: string): Promise<Change> {
    return this.api.change("apply", { manifests });
  }

  /** Deletes the object of this kind and name. */
  delete(kind: string, name: string): Promise<Change> {
    return this.api.change("delete", { kind, name });
  }

  /** Advances the clock. When it is done, everything due by then has happened. */
  advance(by: Duration): Promise<Change> {
    return this.api.change("advance", { by: span(by) });
  }

  /** Returns the current position, for queries that arrive after it. */
  mark(): Promise<Mark> {
    return this.api.change("mark", {});
  }

  /** Waits for a change of the DNS after a mark, such as a saved file. */
  waitForChange({ serial, query }: Mark, { within = 10_000 }: { within?: number } = {}): Promise<Change> {
    return this.api.change("wait-for-change", { serial, query, within: span(within) }, within);
  }

  /** Returns a handle of the pod `NAME` or `NAMESPACE/NAME`. */
  pod(name: string): Pod {
    return new Pod(this.api, name);
  }

  /** Returns a handle of the node. */
  node(name: string): Node {
    return new Node(this.api, name);
  }

  /** Adds a fault: `servfail`, `delay 3s, refused`, the preset `dns-outage 30s`, or in turn `ok | drop`. */
  async fault(does: string, options: FaultOptions = {}): Promise<Fault> {
    const { on, types, transport, clients, every, probability, name, after, for: lasting, ...rest } = options;
    const match = { name: on, types, transport, clients, every, probability };
    const times = {
      after: after === undefined ? after : span(after),
      for: lasting === undefined ? lasting : span(lasting),
    };
    const given = { does, name, spec: { match, ...times, ...rest } };
    const added = await this.api.call<{ name: string }>("POST", "/fixture/fault", given);
    return new Fault(this.api, added.name);
  }

  /** Selects the queries that the cluster received. */
  queries(options: QueryOptions = {}): Queries {
    return new Queries(this.api, options);
  }

  /** Returns the changes of the DNS, each with its time, serial, cause and names. */
  async changes(): Promise<Record<string, unknown>[]> {
    const list = await this.request("GET", "/apis/clusterlocal.dev/v1/changes");
    return list.items as Record<string, unknown>[];
  }

  /** Sends a request to the Kubernetes API; the body of a PATCH is a merge patch. */
  request(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    return this.api.call(method, path, body);
  }

  /** Ends the cluster. */
  async stop(): Promise<void> {
    this.dns.cancel();
    await this.program.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** The arguments for a flag. */
function flag([name, value]: [string, string | number | boolean | readonly string[]]): string[] {
  if (typeof value === "boolean") {
    return value ? [`--${name}`] : [];
  }
  const values = typeof value === "object" ? value : [String(value)];
  return values.flatMap((each) => [`--${name}`, each]);
}
