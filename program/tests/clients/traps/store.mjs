// The peer lookup of the tutorial's data store: each request is answered with the data of all peers, by a new lookup of SRV
// records, and a connection to each of their targets.
//
// Environment: CLUSTERLOCAL_DNS, the DNS server; CLUSTERLOCAL_SERVICE, the name to look up; CLUSTERLOCAL_PORT, the port of the
// peers, which overrides that of the records; CLUSTERLOCAL_FROM, the address to send queries from, if any.
import { Resolver } from "node:dns";
import { createServer, get } from "node:http";

const { CLUSTERLOCAL_DNS, CLUSTERLOCAL_SERVICE, CLUSTERLOCAL_PORT, CLUSTERLOCAL_FROM } = process.env;

// The default is much longer: five seconds, and four tries.
const resolver = new Resolver({ timeout: 300, tries: 2 });
resolver.setServers([CLUSTERLOCAL_DNS]);
if (CLUSTERLOCAL_FROM) resolver.setLocalAddress(CLUSTERLOCAL_FROM);

// Resolves names of connections with this DNS, as a pod's resolv.conf would.
function lookup(name, options, callback) {
  resolver.resolve4(name, (error, found) => {
    if (error) callback(error);
    else if (options.all) callback(null, found.map((address) => ({ address, family: 4 })));
    else callback(null, found[0], 4);
  });
}

function dataOf(host, callback) {
  const request = get({ host, port: CLUSTERLOCAL_PORT, path: "/data", lookup, agent: false }, (response) => {
    let data = "";
    response.on("data", (part) => (data += part)).on("end", () => callback(data));
  });
  request.on("error", (error) => callback(`Error: ${error.message}`));
}

const server = createServer((request, response) => {
  resolver.resolveSrv(CLUSTERLOCAL_SERVICE, (error, records) => {
    if (error) {
      response.end(`Could not look up DNS SRV records: ${error}\n`);
      return;
    }
    console.log(`peers ${records.length}`);
    let left = records.length;
    for (const { name } of records)
      dataOf(name, (data) => {
        response.write(`- ${name}: ${data}\n`);
        if (--left === 0) response.end();
      });
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
