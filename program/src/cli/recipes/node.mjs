// Node.js: dns.resolve… and dns.lookup, and with it every connection by name.
// Names for dns.resolve… are complete; dns.lookup also resolves short ones. Other names: the system's resolver, except for
// dns.reverse and resolvers that the program creates.
// Save as clusterlocal.mjs, and start the program with it: node --import ./clusterlocal.mjs
import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";
import { isIP } from "node:net";

const search = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
const others = new dns.Resolver();
others.setServers(dns.getServers());
const promisedOthers = new dns.promises.Resolver();
promisedOthers.setServers(dns.getServers());
dns.setServers(["127.0.0.1:10053"]);
const isOurs = (name) => /(^|\.)(cluster\.local|in-addr\.arpa|ip6\.arpa)\.?$/i.test(name);

const { lookup: system, resolve } = dns.promises;
const ask = (name, type) =>
  resolve(name, type).catch((error) => {
    if (error.code === "ENOTFOUND" || error.code === "ENODATA") return [];
    throw error;
  });

async function addresses(name, family) {
  const found = [];
  if (family !== 6) for (const address of await ask(name, "A")) found.push({ address, family: 4 });
  if (family !== 4) for (const address of await ask(name, "AAAA")) found.push({ address, family: 6 });
  return found;
}

async function lookup(name, options = {}) {
  if (!name || isIP(name) || name === "localhost") return system(name, options);
  const { all, family } = typeof options === "number" ? { family: options } : options;
  const ours = isOurs(name);
  const candidates = ours ? [name] : name.endsWith(".") ? [] : search.map((domain) => `${name}.${domain}`);
  for (const candidate of candidates) {
    const found = await addresses(candidate, { IPv4: 4, IPv6: 6 }[family] ?? family);
    if (found.length) return all ? found : found[0];
  }
  if (!ours) return system(name, options);
  throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND", hostname: name });
}

dns.promises.lookup = lookup;
dns.lookup = (name, options, callback = options) =>
  lookup(name, typeof options === "function" ? {} : options).then(
    (found) => (Array.isArray(found) ? callback(null, found) : callback(null, found.address, found.family)),
    callback,
  );
for (const [all, system] of [[dns, others], [dns.promises, promisedOthers]])
  for (const method of Object.keys(all).filter((key) => key.startsWith("resolve"))) {
    const cluster = all[method];
    all[method] = (name, ...rest) => (isOurs(String(name)) ? cluster(name, ...rest) : system[method](name, ...rest));
  }
syncBuiltinESMExports();
