/** A point in time, for queries that arrive after it. */
export interface Mark {
  /** Serial of the SOA record: a client that sees this serial or a later one sees the change. */
  readonly serial: number;
  /** Number of the latest query at that time. */
  readonly query: number;
}

/** A name that was added or removed. */
export interface NameChange {
  readonly added: boolean;
  /** The name without the cluster domain and `svc`: `db-0.db.default`. */
  readonly name: string;
  /** The address, or the target of an alias. */
  readonly target: string;
}

/** A change that is visible in the DNS. */
export interface Change extends Mark {
  readonly names: readonly NameChange[];
}
