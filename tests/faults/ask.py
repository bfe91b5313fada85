# What dnspython sees of one reply: ask.py ADDRESS PORT TYPE NAME [tcp] [edns=N]
import sys

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype


def compressed_targets(wire):
    """Whether an SRV target ends in a pointer (RFC 1035 section 4.1.4)."""

    def after_name(at):
        while True:
            if wire[at] == 0:
                return at + 1
            if wire[at] >= 0xC0:
                return at + 2
            at += 1 + wire[at]

    at = after_name(12) + 4
    for _ in range(int.from_bytes(wire[6:8], "big")):
        at = after_name(at)
        rdtype, length = int.from_bytes(wire[at : at + 2], "big"), int.from_bytes(wire[at + 8 : at + 10], "big")
        at += 10 + length
        if rdtype == dns.rdatatype.SRV and wire[at - 2] >= 0xC0:
            return True
    return False


address, port, rdtype, name, *options = sys.argv[1:]
sizes = [int(option[5:]) for option in options if option.startswith("edns=")]
query = dns.message.make_query(name, rdtype, use_edns=0 if sizes else -1, payload=sizes[0] if sizes else None)
ask = dns.query.tcp if "tcp" in options else dns.query.udp
try:
    reply = ask(query, address, port=int(port), timeout=1)
    words = [dns.rcode.to_text(reply.rcode()), str(sum(len(rrset) for rrset in reply.answer))]
    if reply.flags & dns.flags.TC:
        words.append("tc")
    if compressed_targets(reply.wire):
        words.append("compressed")
    print(*words)
except (dns.exception.DNSException, OSError, EOFError) as error:
    print(type(error).__name__)
