// Resolves each name with Node.js, by getaddrinfo and, without completion, by c-ares, and prints the result. Arguments: names.
import { promises as dns } from "node:dns";

const result = (query) => query.then(() => "found", ({ code }) => (code === "ENOTFOUND" ? "not found" : code));
for (const name of process.argv.slice(2)) {
  const [lookup, resolve] = [await result(dns.lookup(name)), await result(dns.resolve4(name))];
  console.log(name, resolve === "not found" ? lookup : `${lookup}, resolve4 ${resolve}`);
}
