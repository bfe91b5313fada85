// One copy of the package, also where a program imports and requires it.
import clusterlocal from "./dist/index.js";

export const { Cluster, ClusterError, Fault, Node, Pod, Queries, VERSION } = clusterlocal;
