// Prints the peers behind an SRV name, a line each: target, port, address. Arguments: port, name.
import { promises as dns } from "node:dns";

const [port, name] = process.argv.slice(2);
dns.setServers([`127.0.0.1:${port}`]);
for (const peer of await dns.resolveSrv(name))
  for (const address of await dns.resolve4(peer.name)) console.log(peer.name, peer.port, address);
