"""The stores: how a client writes, reads, and asks one for its members. Each is a class with the methods of `Store`."""

import csv
import json
import pathlib
import re

from cluster import Failed


class Store:
    """A StatefulSet `self.set` whose pods form a cluster. The methods run commands as clients in pods of their own."""

    name = ""
    # Folders of the manifests in examples/stores, if not the one of its name.
    manifests = ()
    # Beginning of the names of the pods whose questions count, if not those of the set.
    asks = ""
    # The StatefulSet with the members, and their number.
    set = ""
    replicas = 3
    # Command that prints the version.
    version = ""
    # Maximum time in which it forms its cluster or recovers, in seconds.
    deadline = 60

    def __init__(self, cluster):
        self.cluster = cluster

    def pods(self, replicas=None):
        return [f"{self.set}-{ordinal}" for ordinal in range(replicas or self.replicas)]

    def is_formed(self, replicas):
        """Whether this number of members belong to the cluster and are reachable, by its own account."""
        raise NotImplementedError

    def leader(self):
        """The pod that leads; for stores without a leader, any."""
        raise NotImplementedError

    def write(self, key, value):
        """Writes through the Service for clients."""
        raise NotImplementedError

    def read(self, key):
        """Reads through the Service for clients."""
        raise NotImplementedError

    def join(self, pod):
        """What an operator does after a pod has been added."""

    def leave(self, pod):
        """What an operator does before a pod is removed."""


class Etcd(Store):
    name, set, version = "etcd", "etcd", "etcd --version | head -1"
    client = "etcdctl --endpoints http://etcd-client:2379"

    def ctl(self, command):
        return self.cluster.run(f"{self.client} {command}", [("ETCDCTL_API", "3")])

    def status(self):
        return json.loads(self.ctl("endpoint status --cluster --write-out json").splitlines()[-1])

    def is_formed(self, replicas):
        members = self.status()
        leaders = {one["Status"]["leader"] for one in members}
        return len(members) == replicas and len(leaders) == 1 and leaders != {0}

    def leader(self):
        for one in self.status():
            if one["Status"]["leader"] == one["Status"]["header"]["member_id"]:
                return re.search(r"//([^.]+)\.", one["Endpoint"])[1]
        return self.pods()[0]

    def write(self, key, value):
        self.ctl(f"put {key} {value}")

    def read(self, key):
        return self.ctl(f"get {key} --print-value-only")

    def leave(self, pod):
        members = self.ctl("member list").splitlines()
        number = next(line.split(",")[0] for line in members if f" {pod}," in line)
        self.ctl(f"member remove {number}")


class HAProxy(Etcd):
    name, manifests, asks, version = "haproxy", ["etcd", "haproxy"], "haproxy", "haproxy -v | head -1"
    client = "etcdctl --endpoints http://haproxy:2379"

    def is_formed(self, replicas):
        """Whether etcd is, and HAProxy has all members and no other as servers that are up."""
        lines = self.cluster.run("curl --silent --fail 'http://haproxy:8404/stats;csv'").splitlines()
        rows = csv.DictReader(lines)
        up = [row["addr"] for row in rows if row["# pxname"] == "etcd" and row["svname"].startswith("etcd") and row["status"] == "UP"]
        addresses = [self.cluster.pod(pod)["status"]["podIP"] for pod in self.pods(replicas)]
        return sorted(up) == sorted(f"{address}:2379" for address in addresses) and super().is_formed(replicas)


class Prometheus(Etcd):
    name, manifests, asks, version = "prometheus", ["etcd", "prometheus"], "prometheus", "prometheus --version | head -1"

    def is_formed(self, replicas):
        """Whether etcd is, and Prometheus scrapes all members and nothing else."""
        output = self.cluster.run("curl --silent --fail http://prometheus:9090/api/v1/targets?state=active")
        targets = json.loads(output)["data"]["activeTargets"]
        up = [target["labels"]["instance"] for target in targets if target["health"] == "up"]
        names = [f"{pod}.etcd.default.svc.cluster.local:2379" for pod in self.pods(replicas)]
        return len(targets) == replicas and sorted(up) == names and super().is_formed(replicas)


class RedisCluster(Store):
    name, set, replicas, version = "redis-cluster", "redis", 6, "redis-server --version"

    def nodes(self):
        """ID, pod, flags and link of each node, as a node behind the Service knows them."""
        found = []
        for line in self.cluster.run("redis-cli -h redis cluster nodes").splitlines():
            fields = line.split(" ")
            pod = fields[1].partition(",")[2].partition(".")[0]
            found.append((fields[0], pod, fields[2].split(","), fields[7]))
        return found

    def is_formed(self, replicas):
        info, nodes = self.cluster.run("redis-cli -h redis cluster info"), self.nodes()
        healthy = all(link == "connected" and not {"fail", "fail?", "handshake"} & set(flags) for *_, flags, link in nodes)
        return "cluster_state:ok" in info and len(nodes) == replicas and healthy

    def leader(self):
        return next(pod for _, pod, flags, _ in self.nodes() if "master" in flags)

    def write(self, key, value):
        # Acknowledged by the replica as well: a master that fails over has not lost it.
        output = self.cluster.run(f"printf 'set {key} {value}\\nwait 1 2000\\n' | redis-cli -c -h redis").split()
        if output[:1] != ["OK"] or output[-1] != "1":
            raise Failed(f"set {key}: {output}")

    def read(self, key):
        output = self.cluster.run(f"redis-cli -c -h redis get {key}")
        return "" if "ERR" in output or "DOWN" in output else output

    def join(self, pod):
        # Nodes meet by address.
        self.cluster.run(
            f"new={pod}.redis-nodes; until redis-cli -h $new ping | grep -q PONG; do sleep 0.2; done;"
            " address=$(getent ahostsv4 $new | awk 'NR == 1 { print $1 }');"
            " redis-cli --cluster add-node $address:6379 redis-0.redis-nodes:6379 --cluster-slave"
        )

    def leave(self, pod):
        number = next(number for number, name, *_ in self.nodes() if name == pod)
        self.cluster.run(f"redis-cli --cluster del-node redis-0.redis-nodes:6379 {number}")


class RedisSentinel(Store):
    name, set, version = "redis-sentinel", "redis", "redis-server --version"

    def sentinel(self, command):
        return self.cluster.run(f"redis-cli -h sentinel -p 26379 sentinel {command}").splitlines()

    def master(self):
        name = self.sentinel("get-master-addr-by-name main")[0]
        if "." not in name:
            raise Failed(f"the master is {name!r}")
        return name

    def is_formed(self, replicas):
        info = self.cluster.run(f"redis-cli -h {self.master()} info replication")
        others = dict(zip(*[iter(self.sentinel("master main"))] * 2))["num-other-sentinels"]
        return "role:master" in info and info.count("state=online") == replicas - 1 and others == "2"

    def leader(self):
        return self.master().partition(".")[0]

    def write(self, key, value):
        output = self.cluster.run(f"printf 'set {key} {value}\\nwait 1 2000\\n' | redis-cli -h {self.master()}").split()
        if output[:1] != ["OK"] or output[-1] == "0":
            raise Failed(f"set {key}: {output}")

    def read(self, key):
        return self.cluster.run(f"redis-cli -h {self.master()} get {key}")


class ZooKeeper(Store):
    name, set = "zookeeper", "zk"
    version = "dpkg-query --show zookeeper"

    def ask(self, pod):
        """The answer of a server to `mntr`."""
        command = f"exec 3<>/dev/tcp/{pod}.zk-hs/2181 && echo mntr >&3 && timeout 5 cat <&3"
        return dict(line.split("\t", 1) for line in self.cluster.run(f'bash -c "{command}"').splitlines() if "\t" in line)

    def kazoo(self, code):
        script = f"from kazoo.client import KazooClient as C; c = C(hosts='zk-cs:2181'); c.start(timeout=10); {code}; c.stop()"
        return self.cluster.run(f'/usr/bin/python3 -c "{script}"')

    def is_formed(self, replicas):
        states = [self.ask(pod) for pod in self.pods(replicas)]
        roles = sorted(one.get("zk_server_state", "") for one in states)
        synced = [one["zk_synced_followers"] for one in states if "zk_synced_followers" in one]
        return roles == ["follower"] * (replicas - 1) + ["leader"] and synced == [str(replicas - 1)]

    def leader(self):
        return next(pod for pod in self.pods() if self.ask(pod).get("zk_server_state") == "leader")

    def write(self, key, value):
        self.kazoo(f"c.create('/{key}', b'{value}') if not c.exists('/{key}') else None")

    def read(self, key):
        return self.kazoo(f"print(c.get('/{key}')[0].decode())")

    def join(self, pod):
        server = f"server.4={pod}.zk-hs.default.svc.cluster.local:2888:3888:participant;0.0.0.0:2181"
        self.cluster.wait(f"ready {pod}", self.deadline, lambda: self.cluster.is_ready(pod))
        self.kazoo(f"c.reconfig(joining='{server}', leaving=None, new_members=None)")

    def leave(self, pod):
        self.kazoo("c.reconfig(joining=None, leaving='4', new_members=None)")


class RabbitMQ(Store):
    name, set = "rabbitmq", "rabbitmq"
    version = "dpkg-query --show rabbitmq-server"
    deadline = 90

    def http(self, method, path, body=None):
        data = "" if body is None else f"--data '{json.dumps(body)}'"
        command = f"curl --silent --show-error --fail --user guest:guest --request {method} {data} 'http://rabbitmq:15672/api/{path}'"
        output = self.cluster.run(command)
        return json.loads(output) if output else None

    def is_formed(self, replicas):
        return sum(node["running"] for node in self.http("GET", "nodes")) == replicas

    def leader(self):
        queue = next((queue for queue in self.http("GET", "queues") if "leader" in queue), None)
        return re.search("@([^.]+)", queue["leader"])[1] if queue else self.pods()[0]

    def write(self, key, value):
        queue = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
        self.http("PUT", f"queues/%2F/{key}", queue)
        message = {"properties": {"delivery_mode": 2}, "routing_key": key, "payload": value, "payload_encoding": "string"}
        if not self.http("POST", "exchanges/%2F/amq.default/publish", message)["routed"]:
            raise Failed(f"{key} was not routed")

    def read(self, key):
        get = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}
        messages = self.http("POST", f"queues/%2F/{key}/get", get)
        return messages[0]["payload"] if messages else ""


class Patroni(Store):
    name, set = "patroni", "pg"
    version = "patroni --version; /usr/lib/postgresql/15/bin/postgres --version"
    deadline = 90

    def members(self):
        output = self.cluster.run("curl --silent --show-error http://pg-nodes:8008/cluster")
        return json.loads(output)["members"]

    def is_formed(self, replicas):
        members = self.members()
        roles = sorted(one["role"] for one in members)
        return roles == ["leader"] + ["replica"] * (replicas - 1) and all(one["state"] in ("running", "streaming") for one in members)

    def leader(self):
        return next(one["name"] for one in self.members() if one["role"] == "leader")

    def sql(self, statements):
        command = f'psql -h pg -U postgres -v ON_ERROR_STOP=1 -Atc "{statements}"'
        return self.cluster.run(command, [("PGPASSWORD", "only-for-tests"), ("PGCONNECT_TIMEOUT", "5")])

    def write(self, key, value):
        self.sql("CREATE TABLE IF NOT EXISTS test (key text PRIMARY KEY, value text)")
        self.sql(f"INSERT INTO test VALUES ('{key}', '{value}') ON CONFLICT DO NOTHING")

    def read(self, key):
        return self.sql(f"SELECT value FROM test WHERE key = '{key}'")


class Nats(Store):
    name, set, version = "nats", "nats", "nats-server --version"
    script = pathlib.Path(__file__).with_name("nats_client.py").read_text()

    def client(self, arguments):
        return self.cluster.run(f"/usr/bin/python3 - {arguments} << 'END'\n{self.script}\nEND")

    def monitor(self, pod, path):
        return json.loads(self.cluster.run(f"curl --silent --show-error --fail http://{pod}.nats-headless:8222/{path}"))

    def is_formed(self, replicas):
        routes = [self.monitor(pod, "routez")["num_routes"] for pod in self.pods(replicas)]
        return routes == [replicas - 1] * replicas and self.leader() in self.pods(replicas)

    def leader(self):
        return self.monitor(self.pods()[0], "jsz").get("meta_cluster", {}).get("leader")

    def write(self, key, value):
        self.client(f"put {key} {value}")

    def read(self, key):
        return self.client(f"get {key}")


class Galera(Store):
    name, set, version = "galera", "galera", "mariadbd --version"

    def sql(self, host, statements):
        return self.cluster.run(f'mariadb --connect-timeout=5 -u app -h {host} -NBe "{statements}"')

    def is_formed(self, replicas):
        wanted = "SHOW STATUS WHERE variable_name IN ('wsrep_cluster_size', 'wsrep_local_state_comment')"
        status = [self.sql(f"{pod}.galera", wanted).split() for pod in self.pods(replicas)]
        return all(one == ["wsrep_cluster_size", str(replicas), "wsrep_local_state_comment", "Synced"] for one in status)

    def leader(self):
        # All are equal; the first one formed the cluster.
        return self.pods()[0]

    def write(self, key, value):
        self.sql("mariadb", "CREATE TABLE IF NOT EXISTS test.t (k VARCHAR(20) PRIMARY KEY, v VARCHAR(20))")
        self.sql("mariadb", f"REPLACE INTO test.t VALUES ('{key}', '{value}')")

    def read(self, key):
        return self.sql("mariadb", f"SELECT v FROM test.t WHERE k = '{key}'")


STORES = [Etcd, HAProxy, Prometheus, RedisCluster, RedisSentinel, ZooKeeper, RabbitMQ, Patroni, Nats, Galera]
