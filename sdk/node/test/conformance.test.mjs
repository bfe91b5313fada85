// The cases that all clients share.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";

import { Cluster } from "../index.mjs";

const folder = new URL("../../conformance/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

test("all cases are found", () => {
  assert.ok(files.length >= 6);
});

for (const file of files) {
  test(`case ${basename(file, ".json")}`, async () => {
    const { topology, options: flags = {}, steps } = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
    await Cluster.use({ topology, flags }, async (cluster) => {
      const named = new Map();
      for (const step of steps) {
        await check(cluster, step, named);
      }
    });
  });
}

async function check(cluster, step, named) {
  if (step.error) {
    await assert.rejects(
      run(cluster, step, named),
      ({ message }) => message.includes(step.error),
      JSON.stringify(step),
    );
    return;
  }
  const result = await run(cluster, step, named);
  if (step.as) {
    named.set(step.as, result);
  }
  if (step.names) {
    const names = result.names.map(({ added, name }) => (added ? "+" : "-") + name);
    assert.deepEqual(names, step.names, JSON.stringify(step));
  }
}

async function run(cluster, step, named) {
  if (step.lookup) {
    return lookUp(cluster, step);
  }
  if (step.queries) {
    const { after, ...fields } = step.queries;
    const queries = cluster.queries({ ...fields, ...(after ? { after: named.get(after) } : {}) });
    if (step["at-least"]) {
      return queries.waitFor(step["at-least"], { within: step.within });
    }
    assert.equal(await queries.count(), step.count, JSON.stringify(step));
    return undefined;
  }
  if (step.hits) {
    assert.ok((await named.get(step.hits).hits()) >= step["at-least"]);
    return undefined;
  }
  if (step.is) {
    assert.equal(await cluster.pod(step.address).address(), step.is);
    return undefined;
  }
  return call(cluster, step, named);
}

function call(cluster, step, named) {
  const [, kind, verb] = /^(?:(pod|node)\/)?(.*)$/.exec(step.do);
  switch (step.do) {
    case "scale":
      return cluster.scale(step.name, step.replicas);
    case "rollout":
      return cluster.rollout(step.name);
    case "apply":
      return cluster.apply(step.manifests);
    case "delete":
      return cluster.delete(step.kind, step.name);
    case "advance":
      return cluster.advance(step.by);
    case "mark":
      return cluster.mark();
    case "wait-for-change":
      return cluster.waitForChange(named.get(step.after), { within: parseInt(step.within) * 1000 });
    case "fault": {
      const { does, on, types, transport, times, name } = step;
      return cluster.fault(does, { on, types, transport, times, name });
    }
    case "end":
      return named.get(step.of).end();
    case "pod/bind":
      return cluster.pod(step.name).bind(step.port, step.address);
    case "pod/restart":
      return cluster.pod(step.name).restart(step.address);
    case "pod/force-delete":
      return cluster.pod(step.name).forceDelete();
    default:
      return cluster[kind](step.name)[verb]();
  }
}

async function lookUp(cluster, { lookup, type, records = 0, fails = false }) {
  const found = await cluster.dns.resolve(lookup, type).catch(() => undefined);
  assert.equal(found === undefined, fails, lookup);
  assert.equal(found?.length ?? 0, records, lookup);
}
