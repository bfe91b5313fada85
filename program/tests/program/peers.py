"""A member of a set: writes which of its peers it reaches, and whether the DNS, into a file as often as that changes.

Peers are asked at the addresses that the DNS gave last: a member that is cut off from the DNS goes on with those.
"""
import os
import socket
import threading
import time

ME = os.environ["HOSTNAME"]
NAMES = ["db-0", "db-1", "db-2"]
TIMEOUT = 0.3


def serve():
    listener = socket.create_server(("", 80))
    while True:
        connection, _ = listener.accept()
        connection.sendall(ME.encode())
        connection.close()


def resolve(name):
    """The address of a name, "" if it has none, None without an answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = b"\0\1\1\0\0\1" + bytes(6) + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(TIMEOUT)
        try:
            asking.sendto(query, ("10.96.0.10", 53))
            reply = asking.recv(512)
        except OSError:
            return None
    return socket.inet_ntoa(reply[-4:]) if reply[7] else ""


def reaches(address, name):
    try:
        with socket.create_connection((address, 80), TIMEOUT) as connection:
            connection.settimeout(TIMEOUT)
            return connection.recv(64).decode() == name
    except OSError:
        return False


threading.Thread(target=serve, daemon=True).start()
with open(f"/out/{ME}.starts", "a") as starts:
    starts.write("started\n")
known, last = {}, None
while True:
    reached, dns = [], False
    for name in NAMES:
        address = resolve(f"{name}.db.default.svc.cluster.local")
        dns = dns or address is not None
        if address:
            known[name] = address
        if name != ME and name in known and reaches(known[name], name):
            reached.append(name)
    line = " ".join(reached + ["dns"] * dns)
    if line != last:
        with open(f"/out/{ME}.new", "w") as written:
            written.write(line)
        os.rename(f"/out/{ME}.new", f"/out/{ME}")
        last = line
    time.sleep(0.05)
