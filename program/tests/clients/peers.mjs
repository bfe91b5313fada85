// Prints the peers behind an SRV name, a line each: target, port, address. Then what is at a URL, if one is given.
// Arguments: name, URL.
import { promises as dns } from "node:dns";

const [name, url] = process.argv.slice(2);
for (const peer of await dns.resolveSrv(name))
  for (const address of await dns.resolve4(peer.name)) console.log(peer.name, peer.port, address);
if (url) console.log(await (await fetch(url)).text());
