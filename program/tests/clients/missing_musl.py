"""Resolves each name by the rules of musl's lookup_name.c, and prints the result: a response code other than NOERROR and NXDOMAIN
ends the search, SERVFAIL as a temporary failure and others as a permanent one. Arguments: names."""
import sys
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

lines = [line.split() for line in open("/etc/resolv.conf") if not line.startswith("#")]
search = next(line[1:] for line in lines if line and line[0] == "search")
server = next(line[1] for line in lines if line and line[0] == "nameserver")


def ask(name):
    """The addresses of one name, none, or why the search ends."""
    found = []
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        reply = dns.query.udp(dns.message.make_query(name, kind, use_edns=False), server, timeout=5)
        if reply.rcode() == dns.rcode.NXDOMAIN:
            return []
        if reply.rcode() == dns.rcode.SERVFAIL:
            return "EAI_AGAIN"
        if reply.rcode() != dns.rcode.NOERROR:
            return "EAI_FAIL"
        found += [rdata for answer in reply.answer for rdata in answer if rdata.rdtype == kind]
    return found


def look_up(name):
    for domain in search if name.count(".") < 5 and not name.endswith(".") else []:
        result = ask(f"{name}.{domain}.")
        if result:
            return result
    return ask(name.rstrip(".") + ".")


for name in sys.argv[1:]:
    result = look_up(name)
    print(name, result if isinstance(result, str) else "found" if result else "not found")
