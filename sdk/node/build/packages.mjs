// Packs the package and a package with the program for each platform: `node build/packages.mjs OUT linux-x64=PROGRAM …`. npm
// installs the one for its platform, because the package depends on all of them optionally, as esbuild's does.

import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [out, ...programs] = process.argv.slice(2);
const root = new URL("..", import.meta.url).pathname;
const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const { version, license } = own;
const stage = mkdtempSync(join(tmpdir(), "clusterlocal-packages-"));

function pack(folder, manifest) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  mkdirSync(out, { recursive: true });
  execFileSync("npm", ["pack", "--pack-destination", resolve(out), "--loglevel=error"], {
    cwd: folder,
    stdio: "inherit",
  });
}

const optionalDependencies = {};
for (const each of programs) {
  const [platform, program] = each.split("=");
  const [os, cpu] = platform.split("-");
  const name = `@clusterlocal/${platform}`;
  const folder = join(stage, platform);
  mkdirSync(join(folder, "bin"), { recursive: true });
  cpSync(program, join(folder, "bin/clusterlocal"));
  chmodSync(join(folder, "bin/clusterlocal"), 0o755);
  const description = `The program clusterlocal for ${platform}`;
  pack(folder, { name, version, description, license, os: [os], cpu: [cpu], preferUnplugged: true, files: ["bin"] });
  optionalDependencies[name] = version;
}
const folder = join(stage, "clusterlocal");
for (const path of [...own.files, "README.md"]) {
  cpSync(join(root, path), join(folder, path), { recursive: true });
}
const { devDependencies: _, scripts: __, ...manifest } = own;
pack(folder, { ...manifest, optionalDependencies });
rmSync(stage, { recursive: true });
