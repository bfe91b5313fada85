"""A client of JetStream: `put KEY VALUE` and `get KEY`, in a stream of three replicas. Debian has none."""

import base64
import json
import socket
import sys

connection = socket.create_connection(("nats", 4222), 5)
connection.settimeout(5)
lines = connection.makefile("rb")


def request(subject, body):
    """The answer to a request."""
    connection.sendall(f"PUB {subject} inbox {len(body)}\r\n{body}\r\n".encode())
    while line := lines.readline():
        if line.startswith(b"PING"):
            connection.sendall(b"PONG\r\n")
        elif line.startswith(b"-ERR"):
            sys.exit(line.decode())
        elif line.startswith(b"MSG"):
            answer = json.loads(lines.read(int(line.split()[-1])))
            lines.readline()
            return answer
    sys.exit("the connection was closed")


connection.sendall(b'CONNECT {"verbose": false}\r\nSUB inbox 1\r\n')
verb, key, *value = sys.argv[1:]
if verb == "put":
    stream = {"name": "test", "subjects": ["test.>"], "num_replicas": 3, "storage": "file"}
    created = request("$JS.API.STREAM.CREATE.test", json.dumps(stream))
    if "error" in created:
        sys.exit(f"no stream: {created['error']}")
    stored = request(f"test.{key}", value[0])
    sys.exit("error" in stored and f"not stored: {stored['error']}")
found = request("$JS.API.STREAM.MSG.GET.test", json.dumps({"last_by_subj": f"test.{key}"}))
if "error" in found:
    sys.exit(f"not found: {found['error']}")
print(base64.b64decode(found["message"]["data"]).decode())
