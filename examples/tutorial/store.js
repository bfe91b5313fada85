// The store of a tutorial on StatefulSets: it keeps what is posted to it in the claim of its pod, and answers with what all pods
// of the Service in PEERS keep. zones/migo.yaml is its manifest:
//
//   clusterlocal run --image saka1023/state='node examples/tutorial/store.js' zones/migo.yaml
const dns = require("dns");
const fs = require("fs");
const http = require("http");
const os = require("os");

const file = "/var/data/migo.txt";
const port = 8080;
const kept = () => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "No data posted yet");

async function ofPeer(name) {
  try {
    const reply = await fetch(`http://${name}:${port}/data`);
    return `- ${name}: ${await reply.text()}\n`;
  } catch (error) {
    return `- ${name}: Error: ${error.cause ?? error}\n`;
  }
}

function all(response) {
  dns.resolveSrv(process.env.PEERS, async (error, peers) => {
    if (error) return response.end(`Could not look up DNS SRV records: ${error}\n`);
    const lines = await Promise.all(peers.map((peer) => ofPeer(peer.name)));
    response.end(`You've hit ${os.hostname()}\nData stored in the cluster:\n${lines.sort().join("")}`);
  });
}

http
  .createServer((request, response) => {
    if (request.method === "POST") {
      const written = request.pipe(fs.createWriteStream(file));
      written.on("finish", () => {
        console.log("New data has been received and stored.");
        response.end(`Data stored on pod ${os.hostname()}\n`);
      });
    } else if (request.url === "/data") {
      response.end(kept());
    } else {
      all(response);
    }
  })
  .listen(port);

// As process 1 of its container, Node.js ignores the signal otherwise, and a deletion takes the whole grace period.
process.on("SIGTERM", () => process.exit());
