#!/bin/sh
# Runs a server at 127.0.0.1:53 and a client against it, in namespaces of their own, where /etc/resolv.conf is that of a pod:
# no root, no change to the machine.
# Arguments: the program, the manifest, a folder to write to, and the client's command line.
set -eu
program=$1 manifest=$2 folder=$3
shift 3
ip link set lo up
# Without an address of its own, as every pod has one, getaddrinfo believes that there is no IPv4 (AI_ADDRCONFIG).
ip address add 192.0.2.1/32 dev lo
"$program" resolv-conf --dns 127.0.0.1:53 >"$folder/resolv.conf"
mount --bind "$folder/resolv.conf" /etc/resolv.conf
"$program" serve --listen 127.0.0.1:53 --exit-with-parent --ready-file "$folder/ready" "$manifest" >"$folder/out" 2>"$folder/log" &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
while [ ! -e "$folder/ready" ]; do
  kill -0 $server || { cat "$folder/log" >&2; exit 1; }
  sleep 0.02
done
"$@"
