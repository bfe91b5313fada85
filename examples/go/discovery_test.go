package peers

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"clusterlocal/clusterlocaltest"
)

// start returns a cluster, and a function that discovers as many peers.
func start(t *testing.T) (*clusterlocaltest.Cluster, func(int) map[netip.AddrPort]bool) {
	t.Parallel()
	cluster := clusterlocaltest.Start(t, clusterlocaltest.Topology("sets: {db: {replicas: 3, ports: {peer: 7000}}}"))
	discovery := &Discovery{Resolver: cluster.Resolver(), Service: "_peer._tcp.db.default.svc.cluster.local."}
	return cluster, func(count int) map[netip.AddrPort]bool {
		t.Helper()
		if peers := discovery.Refresh(context.Background()); len(peers) != count {
			t.Errorf("found %v instead of %d peers", peers, count)
		}
		return discovery.Peers
	}
}

func TestKnownPeersSurviveAnOutageAndAScaledSetIsFound(t *testing.T) {
	cluster, discover := start(t)
	discover(3)
	outage := cluster.Fault("servfail", clusterlocaltest.Match{On: "_peer._tcp.*"})
	discover(3)
	outage.End()
	cluster.Scale("db", 5)
	discover(5)
}

func TestAReplacedPodIsFoundAtItsNewAddress(t *testing.T) {
	cluster, discover := start(t)
	change := cluster.Pod("db-1").Restart()
	if !discover(3)[netip.AddrPortFrom(cluster.Pod("db-1").Address(), 7000)] {
		t.Error("db-1 was not found")
	}
	cluster.Queries().Name("db-1.*").After(change.Mark).WaitFor(1, 10*time.Second)
}

func TestATruncatedAnswerIsRepeatedOverTCP(t *testing.T) {
	cluster, discover := start(t)
	cluster.Fault("truncate", clusterlocaltest.Match{On: "_peer._tcp.*", Transport: "udp"})
	discover(3)
	cluster.Queries().Type("SRV").Transport("tcp").WaitFor(1, 10*time.Second)
}
