import type { Api } from "./api.js";
import { ClusterError } from "./errors.js";
import type { Change } from "./marks.js";

/** A fault in a cluster. It lasts until it is ended, or disposed of by `await using`. */
export class Fault {
  /** @internal */
  constructor(
    private readonly api: Api,
    /** The name of the fault, as in the query log. */
    readonly name: string,
  ) {}

  /** Returns the number of queries and connections that it has hit. */
  async hits(): Promise<number> {
    const path = `/apis/clusterlocal.dev/v1/faults/${this.name}`;
    const fault = await this.api.call<{ status: { hits: number } }>("GET", path);
    return fault.status.hits;
  }

  /** Ends the fault and returns the change, for queries after it. */
  end(): Promise<Change> {
    return this.api.change("delete", { kind: "Fault", name: this.name });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.end();
    } catch (error) {
      // The test has ended it.
      if (!(error instanceof ClusterError && error.reason === "NotFound")) {
        throw error;
      }
    }
  }
}
