// Compiled and not run: what an editor offers.

import type { Agent } from "node:http";

import { type Change, Cluster, type Query } from "../index.mjs";

export async function example(agent: (options: { lookup: Cluster["lookup"] }) => Agent): Promise<Query[]> {
  await using cluster = await Cluster.start({ topology: "sets: {db: {replicas: 3}}", flags: { clock: "manual" } });
  const change: Change = await cluster.pod("db-1").restart();
  await using fault = await cluster.fault("servfail", { on: "db.*", times: 2, for: "30s" });
  agent({ lookup: cluster.lookup });
  return cluster.queries({ fault: fault.name, after: change }).waitFor(1, { within: "10s" });
}
