/** A Kubernetes cluster's DNS and API in a test, without the cluster. */

export { Cluster, type ClusterOptions, type FaultOptions } from "./cluster.js";
export { ClusterError } from "./errors.js";
export { Fault } from "./fault.js";
export type { Lookup, LookupCallback, LookupOptions } from "./lookup.js";
export type { Change, Mark, NameChange } from "./marks.js";
export { Node, Pod } from "./objects.js";
export { Queries, type Query, type QueryOptions } from "./queries.js";
export { VERSION } from "./version.js";
