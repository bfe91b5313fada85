package dev.clusterlocal;

/**
 * The program cannot be started, or a call failed. The cluster is unchanged, except after a
 * timeout.
 */
public final class ClusterException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The reason of the Status that the API returned. */
  private final String reason;

  ClusterException(String message, Throwable cause) {
    super(message, cause);
    this.reason = "";
  }

  ClusterException(String message, String reason) {
    super(message);
    this.reason = reason;
  }

  /**
   * Returns the reason of the Status that the API returned: {@code NotFound}, {@code BadRequest},
   * {@code Timeout}; empty without one.
   */
  public String reason() {
    return reason;
  }
}
