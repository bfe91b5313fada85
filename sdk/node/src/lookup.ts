import { type LookupAddress, type promises } from "node:dns";
import { isIP } from "node:net";

import type * as dns from "node:dns";

/** Dots from which on a name is tried as it is first, as in a pod. */
const NDOTS = 5;

/** Codes of c-ares for a name without records; others are failures of the server. */
const ABSENT = new Set(["ENOTFOUND", "ENODATA"]);

/** Options of `dns.lookup`. */
export type LookupOptions = dns.LookupOptions;

/** Callback of `dns.lookup`. */
export type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** A function like `dns.lookup`, for `http.Agent`, `net.connect` and undici. */
export type Lookup = (hostname: string, options: LookupOptions, callback: LookupCallback) => void;

/** Returns a `lookup` that asks with `resolver`, and completes names with the search domains of a pod. */
export function lookupWith(resolver: promises.Resolver, search: readonly string[]): Lookup {
  const answer = async (name: string, family: number): Promise<LookupAddress[]> => {
    const found: LookupAddress[] = [];
    for (const [version, resolve] of [
      [4, (name: string) => resolver.resolve4(name)],
      [6, (name: string) => resolver.resolve6(name)],
    ] as const) {
      if (family === 0 || family === version) {
        const addresses = await resolve(name).catch(absent);
        found.push(...addresses.map((address) => ({ address, family: version })));
      }
    }
    return found;
  };
  const all = async (name: string, family: number): Promise<LookupAddress[]> => {
    if (isIP(name)) {
      return [{ address: name, family: isIP(name) }];
    }
    for (const candidate of candidates(name, search)) {
      const found = await answer(candidate, family);
      if (found.length > 0) {
        return found;
      }
    }
    throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND", hostname: name });
  };
  return (hostname, options, callback) => {
    const family = options.family === "IPv4" ? 4 : options.family === "IPv6" ? 6 : (options.family ?? 0);
    all(hostname, family).then(
      (found) => {
        const [first] = found;
        if (options.all || !first) {
          callback(null, found);
        } else {
          callback(null, first.address, first.family);
        }
      },
      (error: unknown) => {
        callback(error as NodeJS.ErrnoException, "", 0);
      },
    );
  };
}

function absent(error: unknown): string[] {
  if (ABSENT.has((error as NodeJS.ErrnoException).code ?? "")) {
    return [];
  }
  throw error;
}

function candidates(name: string, search: readonly string[]): string[] {
  if (name.endsWith(".")) {
    return [name.slice(0, -1)];
  }
  const completed = search.map((domain) => `${name}.${domain}`);
  return name.split(".").length > NDOTS ? [name, ...completed] : [...completed, name];
}
