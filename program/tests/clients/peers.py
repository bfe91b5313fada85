"""Prints the peers behind an SRV name, a line each: target, port, address. Arguments: port, name."""
import sys
import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv[1])
for peer in resolver.resolve(sys.argv[2], "SRV"):
    for address in resolver.resolve(peer.target, "A"):
        print(peer.target.to_text(omit_final_dot=True), peer.port, address)
