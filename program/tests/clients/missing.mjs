// Prints what Node.js says of each name, by getaddrinfo and, for the name as it stands, by c-ares. Arguments: names.
import { promises as dns } from "node:dns";

const said = (asked) => asked.then(() => "found", ({ code }) => (code === "ENOTFOUND" ? "not found" : code));
for (const name of process.argv.slice(2)) {
  const [lookup, resolve] = [await said(dns.lookup(name)), await said(dns.resolve4(name))];
  console.log(name, resolve === "not found" ? lookup : `${lookup}, resolve4 ${resolve}`);
}
