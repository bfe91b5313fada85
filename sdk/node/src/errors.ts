/** The program cannot be started, or a call failed. The cluster is unchanged, except after a timeout. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";

  constructor(
    message: string,
    /** Reason of the Status that the API returned: `NotFound`, `BadRequest`, `Timeout`; empty without one. */
    readonly reason = "",
  ) {
    super(message);
  }
}
