import assert from "node:assert/strict";
import { test } from "node:test";

import { Cluster } from "clusterlocal";
import { Discovery } from "./discovery.js";

const options = { topology: "sets: {db: {replicas: 3, ports: {peer: 7000}}}" };
const discover = (cluster) => new Discovery(cluster.dns, "_peer._tcp.db.default.svc.cluster.local");

test("known peers survive an outage, and a scaled set is found", () =>
  Cluster.use(options, async (cluster) => {
    const discovery = discover(cluster);
    const known = await discovery.refresh();
    const outage = await cluster.fault("servfail", { on: "_peer._tcp.*" });
    assert.deepEqual(await discovery.refresh(), known);
    await outage.end();
    await cluster.scale("db", 5);
    assert.equal((await discovery.refresh()).length, 5);
  }));

test("a replaced pod is found at its new address", () =>
  Cluster.use(options, async (cluster) => {
    const change = await cluster.pod("db-1").restart();
    assert.ok((await discover(cluster).refresh()).includes(`${await cluster.pod("db-1").address()}:7000`));
    await cluster.queries({ name: "db-1.*", after: change }).waitFor(1);
  }));

test("a truncated answer is repeated over TCP", () =>
  Cluster.use(options, async (cluster) => {
    await cluster.fault("truncate", { on: "_peer._tcp.*", transport: "udp" });
    assert.equal((await discover(cluster).refresh()).length, 3);
    assert.equal(await cluster.queries({ type: "SRV", transport: "tcp" }).count(), 1);
  }));
