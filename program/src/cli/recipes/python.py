# Python: dns.resolver and socket.getaddrinfo, and with it every connection by name.
# Short names are resolved, too. Save as clusterlocal.py, and import it first. Requires dnspython: pip install dnspython
# Other names: socket.getaddrinfo uses the system's resolver for them; dns.resolver queries the cluster only.
import socket

import dns.name
import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], 10053
search = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
resolver.search = [dns.name.from_text(domain) for domain in search]
resolver.ndots, resolver.use_search_by_default = 5, True
dns.resolver.default_resolver = resolver

system = socket.getaddrinfo
dns.resolver.override_system_resolver(resolver)
cluster = socket.getaddrinfo


def getaddrinfo(host, *rest, **named):
    if host == "localhost":
        return system(host, *rest, **named)
    try:
        return cluster(host, *rest, **named)
    except socket.gaierror:
        if str(host).rstrip(".").lower().endswith("cluster.local"):
            raise
        return system(host, *rest, **named)


socket.getaddrinfo = getaddrinfo
