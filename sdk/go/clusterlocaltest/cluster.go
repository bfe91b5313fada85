package clusterlocaltest

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// TB is the part of testing.TB that a cluster needs.
type TB interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// listedQueries is the maximum of queries that a failed test shows.
const listedQueries = 10

// A Cluster for tests: its DNS, its API and its pods. It ends with the test. Goroutines may share it.
//
// Objects are named as in kubectl: db-0 is in the namespace default, ring/db-0 in ring. Methods return when the DNS shows the
// change, and fail the test if there is no such object, or a rollout takes more than 30 seconds.
type Cluster struct {
	t       TB
	program *program
	ready   *ready
	api     *api
}

// Start starts a cluster that ends with the test. A failed test logs the latest queries.
func Start(t TB, options ...Option) *Cluster {
	t.Helper()
	var c config
	for _, option := range options {
		option(&c)
	}
	program, ready, err := start(&c)
	if err != nil {
		t.Fatalf("clusterlocal: %v", err)
		return nil
	}
	cluster := &Cluster{t, program, ready, newAPI(ready.API)}
	t.Cleanup(func() {
		if t.Failed() {
			cluster.logQueries()
		}
		cluster.api.client.CloseIdleConnections()
		cluster.program.end()
	})
	return cluster
}

func (c *Cluster) logQueries() {
	queries, err := c.Queries().ask("", 0)
	if err != nil {
		// The test ended it.
		return
	}
	if len(queries) > listedQueries {
		queries = queries[len(queries)-listedQueries:]
	}
	c.t.Logf("clusterlocal: the latest %d queries of the cluster", len(queries))
	for _, query := range queries {
		c.t.Logf("  %s", query.Line)
	}
}

// With returns the cluster for a subtest: calls that fail end t.
func (c *Cluster) With(t TB) *Cluster {
	other := *c
	other.t = t
	return &other
}

// Stop ends the cluster before the test ends.
func (c *Cluster) Stop() { c.program.end() }

// Pid is the process ID of the server.
func (c *Cluster) Pid() int { return c.program.command.Process.Pid }

// DNSAddr is the address of the DNS, the same for UDP and TCP: 127.0.0.1:36439.
func (c *Cluster) DNSAddr() string { return c.ready.DNS[0] }

// APIURL is the URL of the Kubernetes API, for client libraries: the Host of a rest.Config.
func (c *Cluster) APIURL() string { return c.ready.API }

// Kubeconfig is the content of a kubeconfig, for clientcmd.RESTConfigFromKubeConfig.
func (c *Cluster) Kubeconfig() []byte { return []byte(c.ready.Kubeconfig) }

// Domain is the cluster domain.
func (c *Cluster) Domain() string { return c.ready.Domain }

// Search returns the search domains of a pod in a namespace.
func (c *Cluster) Search(namespace string) []string {
	return []string{namespace + ".svc." + c.Domain(), "svc." + c.Domain(), c.Domain()}
}

// Resolver returns a resolver that asks the cluster. It takes the search list of the machine: use full names.
func (c *Cluster) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, c.DNSAddr())
	}}
}

// DialContext connects to addresses whose names the cluster resolves, for http.Transport and gRPC.
func (c *Cluster) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Resolver: c.Resolver()}
	return dialer.DialContext(ctx, network, address)
}

// do calls a verb and fails the test if it fails.
func (c *Cluster) do(verb string, given arguments, wait time.Duration) *Change {
	c.t.Helper()
	change, err := c.api.change(verb, given, wait)
	if err != nil {
		c.t.Fatalf("%v", err)
		return &Change{}
	}
	return change
}

// Scale sets the replicas of a StatefulSet, Deployment or ReplicaSet, and waits for its pods.
func (c *Cluster) Scale(name string, replicas int) *Change {
	c.t.Helper()
	return c.do("scale", arguments{"name": name, "replicas": replicas}, 0)
}

// Rollout waits until a StatefulSet, Deployment or ReplicaSet has all its pods, of its latest template and ready.
func (c *Cluster) Rollout(name string) *Change {
	c.t.Helper()
	return c.do("rollout", arguments{"name": name}, 0)
}

// Apply creates or updates the objects of a YAML stream.
func (c *Cluster) Apply(manifests string) *Change {
	c.t.Helper()
	return c.do("apply", arguments{"manifests": manifests}, 0)
}

// Delete deletes the object of this kind and name.
func (c *Cluster) Delete(kind, name string) *Change {
	c.t.Helper()
	return c.do("delete", arguments{"kind": kind, "name": name}, 0)
}

// Advance advances the clock. When it returns, everything due by then has happened.
func (c *Cluster) Advance(by time.Duration) *Change {
	c.t.Helper()
	return c.do("advance", arguments{"by": span(by)}, 0)
}

// Mark returns the current position, for queries that arrive after it.
func (c *Cluster) Mark() Mark {
	c.t.Helper()
	return c.do("mark", arguments{}, 0).Mark
}

// WaitForChange waits for a change of the DNS after a mark, such as a saved file.
func (c *Cluster) WaitForChange(after Mark, within time.Duration) *Change {
	c.t.Helper()
	given := arguments{"serial": after.Serial, "query": after.Query, "within": span(within)}
	return c.do("wait-for-change", given, within)
}

// Request sends a request to the Kubernetes API; the body of a PATCH is a merge patch.
func (c *Cluster) Request(method, path string, body any) map[string]any {
	c.t.Helper()
	result := map[string]any{}
	if err := c.api.call(method, path, body, &result, 0); err != nil {
		c.t.Fatalf("%v", err)
	}
	return result
}

// Changes returns the changes of the DNS, each with its time, serial, cause and names.
func (c *Cluster) Changes() []any {
	c.t.Helper()
	items, _ := c.Request(http.MethodGet, "/apis/clusterlocal.dev/v1/changes", nil)["items"].([]any)
	return items
}

// Pod returns a handle of the pod NAME or NAMESPACE/NAME.
func (c *Cluster) Pod(name string) *Pod { return &Pod{c, name} }

// Node returns a handle of the node.
func (c *Cluster) Node(name string) *Node { return &Node{c, name} }

// parsed returns the address, or the zero Addr.
func parsed(text string) netip.Addr {
	address, _ := netip.ParseAddr(text)
	return address
}
