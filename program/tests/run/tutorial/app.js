// The store of the tutorial, in the image saka1023/state: it keeps what is posted to it in the claim of its pod.
const fs = require("fs");
const http = require("http");
const os = require("os");

const file = "/var/data/migo.txt";
const kept = () => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "No data posted yet");

http
  .createServer((request, response) => {
    if (request.method === "POST") {
      const written = request.pipe(fs.createWriteStream(file));
      written.on("finish", () => {
        console.log("New data has been received and stored.");
        response.end(`Data stored on pod ${os.hostname()}\n`);
      });
      return;
    }
    response.end(`You've hit ${os.hostname()}\nData stored on this pod: ${kept()}\n`);
  })
  .listen(8080);

// As process 1 of its container, Node.js ignores the signal otherwise, and a deletion takes the whole grace period.
process.on("SIGTERM", () => process.exit());
