"""The DNS names of a cluster, from its API: every form that exists, and forms that must not."""

import ipaddress

DOMAIN = "cluster.local."

FIXED = [
    DOMAIN, f"svc.{DOMAIN}", f"pod.{DOMAIN}", f"nope.{DOMAIN}", f"a.b.c.d.e.f.{DOMAIN}", f"_tcp.{DOMAIN}", f"*.{DOMAIN}",
    "in-addr.arpa.", "ip6.arpa.", "127.in-addr.arpa.", "1.0.0.127.in-addr.arpa.",
]
OF_NAMESPACE = [
    "{}.svc", "{}.pod", "_tcp.{}.svc", "_http._tcp.{}.svc", "*.{}.svc", "x.{}", "10-0-0-1.{}.pod", "10-0-0.{}.pod",
    "fd00--1.{}.pod", "999-1-1-1.{}.pod", "x.10-0-0-1.{}.pod", "missing.{}.svc", "_http._tcp.missing.{}.svc",
    "a.missing.{}.svc",
]
BEFORE_SERVICE = [
    "x", "*", "_tcp", "_udp", "_sctp", "_", "_nope._tcp", "_http._tcp", "_http._udp", "http._tcp", "_http.tcp", "a.b",
    "_x._http._tcp", "*._tcp", "_http.x",
]


def reverse(address):
    return ipaddress.ip_address(address).reverse_pointer + "."


def dashed(address):
    return address.replace(".", "-").replace(":", "-")


def of_service(service):
    metadata, spec = service["metadata"], service["spec"]
    base = f"{metadata['name']}.{metadata['namespace']}.svc.{DOMAIN}"
    yield from (base, base.upper())
    yield from (f"{prefix}.{base}" for prefix in BEFORE_SERVICE)
    for port in spec.get("ports") or []:
        name, protocol = port.get("name", ""), port.get("protocol", "TCP").lower()
        yield from (f"_{name}._{protocol}.{base}", f"_{name.upper()}._TCP.{base}")
        yield from (f"_{name}._{protocol}.x.{base}", f"_{port['port']}._tcp.{base}")
    addresses = (spec.get("clusterIPs") or []) + (spec.get("externalIPs") or [])
    yield from (reverse(address) for address in addresses if address != "None")


def of_slice(obj):
    metadata = obj["metadata"]
    service = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "none")
    namespace = metadata["namespace"]
    base = f"{service}.{namespace}.svc.{DOMAIN}"
    for endpoint in (obj.get("endpoints") or []) if obj["addressType"] != "FQDN" else []:
        for address in endpoint["addresses"]:
            host = endpoint.get("hostname") or dashed(address)
            yield from (reverse(address), f"{host}.{base}", f"{dashed(address)}.{base}", f"x.{host}.{base}")
            yield f"{dashed(address)}.{namespace}.pod.{DOMAIN}"
            for port in obj.get("ports") or []:
                yield f"_{port.get('name', '')}._{port.get('protocol', 'TCP').lower()}.{host}.{base}"
        if name := (endpoint.get("targetRef") or {}).get("name"):
            yield f"{name}.{base}"


def of_pod(pod):
    metadata = pod["metadata"]
    yield f"{metadata['name']}.{metadata['namespace']}.pod.{DOMAIN}"
    yield from (reverse(address["ip"]) for address in (pod.get("status") or {}).get("podIPs") or [])


def names(cluster):
    """All names to query, from the current objects of the cluster's API."""

    def items(path):
        return cluster.request("GET", path)["items"]

    namespaces = [namespace["metadata"]["name"] for namespace in items("api/v1/namespaces")]
    found = {*FIXED, *(f"{form.format(name)}.{DOMAIN}" for name in [*namespaces, "missing"] for form in OF_NAMESPACE)}
    for path, of in [
        ("api/v1/services", of_service),
        ("apis/discovery.k8s.io/v1/endpointslices", of_slice),
        ("api/v1/pods", of_pod),
    ]:
        found.update(name for item in items(path) for name in of(item))
    return {name for name in found if all(len(label) < 64 for label in name.split("."))}
