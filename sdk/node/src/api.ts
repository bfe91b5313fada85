import { request } from "node:http";

import { ClusterError } from "./errors.js";
import type { Change } from "./marks.js";

/** Milliseconds for a call, and for those that wait in addition to their own time. */
const CALL_TIMEOUT = 60_000;

/** A duration: milliseconds, or text such as `1m30s`. */
export type Duration = number | string;

/** The duration as the API reads it. */
export function span(duration: Duration): string {
  return typeof duration === "number" ? `${Math.round(duration)}ms` : duration;
}

interface Failure {
  message?: string;
  reason?: string;
}

/** Calls of the HTTP API of a server. */
export class Api {
  constructor(readonly url: string) {}

  /** Sends a request and returns the object of the reply; `wait` is how long the server may wait, in milliseconds. */
  call<Reply>(method: string, path: string, body?: unknown, wait = 0): Promise<Reply> {
    const headers: Record<string, string> = { connection: "close" };
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    if (content) {
      headers["content-type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      headers["content-length"] = String(content.length);
    }
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => {
        reject(new ClusterError(`the server at ${this.url} does not answer: ${error.message}`));
      };
      const sent = request(
        this.url + path,
        { method, headers, agent: false, timeout: CALL_TIMEOUT + wait },
        (reply) => {
          const parts: Buffer[] = [];
          reply.on("data", (part: Buffer) => parts.push(part));
          reply.on("error", failed);
          reply.on("end", () => {
            try {
              const shown: unknown = JSON.parse(Buffer.concat(parts).toString());
              if ((reply.statusCode ?? 0) < 400) {
                resolve(shown as Reply);
              } else {
                const { message, reason } = shown as Failure;
                reject(new ClusterError(message ?? "", reason ?? ""));
              }
            } catch (error) {
              failed(error as Error);
            }
          });
        },
      );
      sent.on("timeout", () => sent.destroy(new Error("no reply in time")));
      sent.on("error", failed);
      sent.end(content);
    });
  }

  /** Calls a verb of the fixture protocol; arguments that are undefined are left out. */
  change(verb: string, given: Record<string, unknown>, wait = 0): Promise<Change> {
    return this.call("POST", `/fixture/${verb}`, given, wait);
  }
}
