package dev.clusterlocal;

import com.google.gson.JsonObject;

/** A point in time, for queries that arrive after it. */
public class Mark {
  private final long serial;
  private final long query;

  Mark(JsonObject reply) {
    this.serial = reply.get("serial").getAsLong();
    this.query = reply.get("query").getAsLong();
  }

  /**
   * Returns the serial of the SOA record: a client that sees this serial or a later one sees the
   * change.
   */
  public long serial() {
    return serial;
  }

  /** Returns the number of the latest query at that time. */
  public long query() {
    return query;
  }
}
