import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { Socket } from "node:net";
import { delimiter, join } from "node:path";

import { ClusterError } from "./errors.js";
import { VERSION } from "./version.js";

/** Milliseconds from SIGTERM to SIGKILL; the program stops within five seconds. */
const STOP_TIMEOUT = 6000;

/** Maximum of characters of standard error that are kept: the latest. */
const LOG_MAX = 64 << 10;

/** The line that a server prints when it answers. */
export interface Ready {
  readonly dns: readonly string[];
  readonly api: string;
  readonly kubeconfig: string;
  readonly domain: string;
  readonly version: string;
}

/** Returns the program: `given`, of CLUSTERLOCAL_BIN, of the package of this platform, or of PATH. */
export function find(given?: string): string {
  const variable = given ?? process.env.CLUSTERLOCAL_BIN;
  if (variable) {
    return variable;
  }
  try {
    return require.resolve(`@clusterlocal/${process.platform}-${process.arch}/bin/clusterlocal`);
  } catch {
    // There is no such package: it is optional.
  }
  const candidates = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "clusterlocal"));
  const found = candidates.find(isExecutable);
  if (!found) {
    throw new ClusterError(
      `there is no program clusterlocal in PATH, and no package @clusterlocal/${process.platform}-${process.arch}: ` +
        "install one, or set CLUSTERLOCAL_BIN",
    );
  }
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A running server. */
export class Program {
  private log = "";
  private readonly ended: Promise<void>;

  private constructor(
    private readonly path: string,
    private readonly child: ChildProcess,
  ) {
    this.ended = new Promise((resolve) => {
      child.once("close", () => {
        resolve();
      });
      child.once("error", (error) => {
        this.log += error.message;
        resolve();
      });
    });
  }

  /** Starts the program, and waits for its ready line. */
  static async start(
    given: string | undefined,
    options: readonly string[],
    manifests: string,
  ): Promise<[Program, Ready]> {
    const path = find(given);
    const addresses = ["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"];
    // Variables of servers that are started by hand have no effect.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CLUSTERLOCAL_")));
    const child = spawn(path, ["serve", ...addresses, "--exit-with-parent", "--output", "json", ...options], { env });
    const program = new Program(path, child);
    try {
      return [program, await program.ready(manifests)];
    } catch (error) {
      await program.stop();
      throw error;
    }
  }

  private async ready(manifests: string): Promise<Ready> {
    const { stdin, stdout, stderr } = this.child;
    // A program that ends before it has read them has written the reason.
    stdin?.on("error", () => undefined);
    stdin?.end(manifests);
    stderr?.on("data", (text: Buffer) => {
      this.log = (this.log + text.toString()).slice(-LOG_MAX);
    });
    const line = await new Promise<string | undefined>((resolve) => {
      let text = "";
      stdout?.on("data", (part: Buffer) => {
        text += part.toString();
        if (text.includes("\n")) {
          resolve(text);
        }
      });
      void this.ended.then(() => {
        resolve(undefined);
      });
    });
    if (line === undefined) {
      this.refuseOlder(this.version());
      throw new ClusterError(`${this.path} did not start:\n${this.log.trim()}`);
    }
    const ready = JSON.parse(line) as Ready;
    this.refuseOlder(ready.version);
    // A test that forgets to stop its cluster ends nevertheless, and the server with it.
    this.child.unref();
    for (const pipe of [stdout, stderr]) {
      if (pipe instanceof Socket) {
        pipe.unref();
      }
    }
    return ready;
  }

  private version(): string {
    try {
      const printed = execFileSync(this.path, ["--version"], { encoding: "utf8", timeout: 10_000, stdio: "pipe" });
      return printed.trim().split(" ").pop() ?? VERSION;
    } catch {
      return VERSION;
    }
  }

  private refuseOlder(version: string): void {
    if (isOlder(version)) {
      throw new ClusterError(
        `${this.path} is clusterlocal ${version}, older than this package, ${VERSION}: install ${VERSION}`,
      );
    }
  }

  /** Process ID of the server. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Ends the server, at once if it does not end in time. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.ref();
      this.child.kill("SIGTERM");
      const late = setTimeout(() => this.child.kill("SIGKILL"), STOP_TIMEOUT);
      await this.ended;
      clearTimeout(late);
    }
  }
}

/** Whether a version is less than that of this package. */
function isOlder(version: string): boolean {
  const [of, own] = [numbers(version), numbers(VERSION)];
  const at = own.findIndex((number, index) => number !== of[index]);
  return at >= 0 && (of[at] ?? 0) < (own[at] ?? 0);
}

/** The numbers of `1.2.3-rc1`. */
function numbers(version: string): number[] {
  return (version.split("-")[0] ?? "").split(".").map(Number);
}
