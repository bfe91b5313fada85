const assert = require("node:assert/strict");
const { test } = require("node:test");

const { Cluster } = require("../dist/index.js");

test("the package can be required, and is the same as the imported one", async () => {
  assert.equal((await import("../index.mjs")).Cluster, Cluster);
  const cluster = await Cluster.start({ topology: "sets: {db: {replicas: 1}}" });
  assert.equal(await cluster.pod("db-0").isReady(), true);
  await cluster.stop();
});
