// Package clusterlocaltest is a fixture for tests: a Kubernetes cluster's DNS and API, without the cluster.
//
//	func TestDiscovery(t *testing.T) {
//		t.Parallel()
//		cluster := clusterlocaltest.Start(t, clusterlocaltest.Topology("sets: {db: {replicas: 3, ports: {peer: 7000}}}"))
//		cluster.Scale("db", 5)
//		_, peers, err := cluster.Resolver().LookupSRV(t.Context(), "peer", "tcp", "db.default.svc.cluster.local.")
//		...
//	}
//
// The program clusterlocal is that of the option Program, of the variable CLUSTERLOCAL_BIN, or of PATH.
//
// Methods of a Cluster end the test if the call fails, as when there is no such object; they must be called in its goroutine.
package clusterlocaltest
