"""Prints the peers behind an SRV name, a line each: target, port, address. Then what is at a URL, if one is given.
Arguments: name, URL."""
import clusterlocal
import sys
import urllib.request
import dns.resolver

for peer in dns.resolver.resolve(sys.argv[1], "SRV"):
    for address in dns.resolver.resolve(peer.target, "A"):
        print(peer.target.to_text(omit_final_dot=True), peer.port, address)
for url in sys.argv[2:]:
    print(urllib.request.urlopen(url).read().decode())
