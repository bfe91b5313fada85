import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { Cluster, ClusterError, VERSION } from "../index.mjs";

const topology = "sets: {db: {replicas: 3, ports: {peer: 7000}}}";
const index = new URL("../index.mjs", import.meta.url);

/** Whether the process runs; one that has ended may wait for its new parent. */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    return error.code === "ENOENT" && process.platform !== "linux";
  }
}

async function ends(pid) {
  for (let tries = 0; isAlive(pid); tries += 1) {
    assert.ok(tries < 1000, "the server outlived its runner");
    await sleep(10);
  }
}

for (const [form, lines] of [
  ["before the protocol", '[ "$1" = --version ] && echo clusterlocal 0.0.9 || exit 2'],
  ["with the protocol", `echo '{"version": "0.0.9"}'; exec sleep 60`],
]) {
  test(`an older program ${form} is refused with both versions`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "clusterlocal-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const program = join(folder, "clusterlocal");
    writeFileSync(program, `#!/bin/sh\n${lines}\n`);
    chmodSync(program, 0o755);
    await assert.rejects(Cluster.start({ program }), ({ message }) => {
      assert.match(message, /clusterlocal 0\.0\.9/);
      return message.includes(VERSION);
    });
  });
}

test("invalid manifests, and a program that is not there, are the error", async () => {
  await assert.rejects(Cluster.start({ manifests: "apiVersion: v1" }), /kind/);
  await assert.rejects(Cluster.start({ program: "/nowhere/clusterlocal" }), /nowhere/);
});

test("variables of other servers have no effect", async () => {
  process.env.CLUSTERLOCAL_DOMAIN = "example.org";
  const cluster = await Cluster.start();
  delete process.env.CLUSTERLOCAL_DOMAIN;
  assert.equal(cluster.domain, "cluster.local");
  assert.ok((await cluster.changes()).length > 0);
  await cluster.stop();
  await ends(cluster.pid);
});

test("lookup has the search list, and connects to a bound pod", async () => {
  const server = http.createServer((_, reply) => reply.end("db-1")).listen(0, "127.0.0.1");
  await once(server, "listening");
  await Cluster.use({ topology }, async (cluster) => {
    const { port } = server.address();
    await cluster.pod("db-1").bind("peer", `127.0.0.1:${port}`);
    const agent = new http.Agent({ lookup: cluster.lookup });
    const [reply] = await once(http.get({ host: "db-1.db", port, agent }), "response");
    assert.equal((await reply.toArray()).join(""), "db-1");
    const missing = once(http.get({ host: "db-7.db", port, agent }), "response");
    await assert.rejects(missing, { code: "ENOTFOUND" });
  });
  server.close();
});

test("unexpected queries are listed", async () => {
  await Cluster.use({ topology }, async (cluster) => {
    await cluster.queries().assertNone();
    await cluster.dns.resolve4("db-1.db.default.svc.cluster.local");
    await assert.rejects(cluster.queries({ name: "db-1.*" }).assertNone(), {
      name: "AssertionError",
      message: /db-1\.db/,
    });
  });
});

test("a failed test prints the queries", async () => {
  const failing = `
    import { Cluster } from ${JSON.stringify(index.href)};
    await Cluster.use({ topology: ${JSON.stringify(topology)} }, async (cluster) => {
      await cluster.dns.resolve4("db-1.db.default.svc.cluster.local");
      throw new Error("the test fails");
    });`;
  const run = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", failing]);
  await assert.rejects(run, /"A IN db-1\.db\.default\.svc\.cluster\.local\. udp" NOERROR[^]*the test fails/);
});

for (const end of ["SIGKILL", "SIGTERM", undefined]) {
  test(`no server outlives a runner that ${end ? `gets ${end}` : "forgets it"}`, async () => {
    const runner = `
      import { Cluster } from ${JSON.stringify(index.href)};
      console.log((await Cluster.start()).pid);
      ${end ? "setInterval(() => {}, 1000);" : ""}`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", runner], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(child.stdout, "data");
    const pid = Number(line);
    if (end) {
      assert.ok(isAlive(pid));
      child.kill(end);
    }
    await once(child, "exit");
    await ends(pid);
  });
}

test("fifty clusters run in parallel", async () => {
  const clusters = await Promise.all(Array.from({ length: 50 }, () => Cluster.start({ topology })));
  const changes = await Promise.all(clusters.map((cluster) => cluster.scale("db", 4)));
  assert.ok(changes.every(({ names }) => names.length === 1));
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  assert.ok(!clusters.some(({ pid }) => isAlive(pid)));
});

test("errors have their reason", async () => {
  await Cluster.use({}, async (cluster) => {
    await assert.rejects(
      cluster.scale("db", 1),
      (error) => error instanceof ClusterError && error.reason === "NotFound",
    );
  });
});
