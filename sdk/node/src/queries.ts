import { AssertionError } from "node:assert";

import { type Api, type Duration, span } from "./api.js";
import { ClusterError } from "./errors.js";
import type { Mark } from "./marks.js";

/** Selects queries. Fields that are absent select all. */
export interface QueryOptions {
  /** Pattern of names: `db-1.*`. */
  readonly name?: string;
  readonly type?: string;
  readonly client?: string;
  /** `NAME` or `NAMESPACE/NAME`. */
  readonly pod?: string;
  readonly transport?: "udp" | "tcp";
  /** Response code, or `none` for queries without a reply. */
  readonly rcode?: string;
  readonly fault?: string;
  /** Only queries that arrived after this mark or change. */
  readonly after?: Mark;
}

/** A query and its answer, as the API has it. */
export interface Query {
  /** The name in the question, with its final dot. */
  readonly name: string;
  readonly type: string;
  /** Address and port of the client. */
  readonly client: string;
  /** The pod that has or had the client's address: `default/db-1`. */
  readonly pod: string | null;
  readonly transport: "udp" | "tcp";
  /** Response code; null if there was no reply. */
  readonly rcode: string | null;
  /** Name of the fault that hit the query. */
  readonly fault: string | null;
  /** Serial of the zone that the answer is from. */
  readonly serial: number;
  /** The query in the format of CoreDNS's log. */
  readonly line: string;
}

/** A selection of the queries that a cluster received. */
export class Queries {
  private readonly query: Record<string, string> = {};

  /** @internal */
  constructor(
    private readonly api: Api,
    { after, ...fields }: QueryOptions,
  ) {
    const terms = Object.entries(fields as Record<string, string | undefined>).filter(
      ([, value]) => value !== undefined,
    );
    this.query.fieldSelector = terms.map(([field, value]) => `${field}=${value ?? ""}`).join(",");
    if (after) {
      this.query.sinceSerial = String(after.serial);
      this.query.sinceQuery = String(after.query);
    }
  }

  private async ask(expected: Record<string, string>, wait = 0): Promise<Query[]> {
    const query = new URLSearchParams({ ...this.query, ...expected }).toString();
    try {
      const path = `/apis/clusterlocal.dev/v1/queries?${query}`;
      return (await this.api.call<{ items: Query[] }>("GET", path, undefined, wait)).items;
    } catch (error) {
      if (error instanceof ClusterError && error.reason === "ExpectationFailed") {
        throw new AssertionError({ message: error.message });
      }
      throw error;
    }
  }

  /** Returns the queries so far, oldest first. */
  all(): Promise<Query[]> {
    return this.ask({});
  }

  /** Returns the number of queries so far. */
  async count(): Promise<number> {
    return (await this.all()).length;
  }

  /**
   * Waits until there are at least `count` queries, and returns them.
   *
   * @throws AssertionError if there are fewer by then, with the latest queries of any kind.
   */
  waitFor(count: number, { within = 10_000 }: { within?: Duration } = {}): Promise<Query[]> {
    const wait = typeof within === "number" ? within : 3_600_000;
    return this.ask({ atLeast: String(count), within: span(within) }, wait);
  }

  /** Throws an AssertionError if there is a query, and lists them. */
  async assertNone(): Promise<void> {
    await this.ask({ atMost: "0" });
  }
}
