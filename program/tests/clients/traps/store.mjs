// The tutorial's data store, as far as it looks for peers: whoever asks it is told the data of all, by SRV records that are
// looked up anew for each question, and by a connection to each of their targets.
//
// From the environment: CLUSTERLOCAL_DNS, whom to ask; CLUSTERLOCAL_SERVICE, what for; CLUSTERLOCAL_PORT, where peers listen,
// whatever the records say; CLUSTERLOCAL_FROM, the address to ask from, if any.
import { Resolver } from "node:dns";
import { createServer, get } from "node:http";

const { CLUSTERLOCAL_DNS, CLUSTERLOCAL_SERVICE, CLUSTERLOCAL_PORT, CLUSTERLOCAL_FROM } = process.env;

// By default silence is taken for an answer after much longer: five seconds, and four times.
const resolver = new Resolver({ timeout: 300, tries: 2 });
resolver.setServers([CLUSTERLOCAL_DNS]);
if (CLUSTERLOCAL_FROM) resolver.setLocalAddress(CLUSTERLOCAL_FROM);

// What a pod's resolv.conf does for a connection by name.
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
