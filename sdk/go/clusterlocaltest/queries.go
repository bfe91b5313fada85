package clusterlocaltest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Query and its answer.
type Query struct {
	// Name in the question, with its final dot.
	Name string `json:"name"`
	Type string `json:"type"`
	// Client is its address and port.
	Client string `json:"client"`
	// Pod that has or had the client's address: default/db-1.
	Pod       string `json:"pod"`
	Transport string `json:"transport"`
	// Rcode is the response code; empty if there was no reply.
	Rcode string `json:"rcode"`
	// Fault that hit the query.
	Fault string `json:"fault"`
	// Serial of the zone that the answer is from.
	Serial uint32 `json:"serial"`
	// Line is the query in the format of CoreDNS's log.
	Line string `json:"line"`
}

// Queries are a selection of those that a cluster received. Each method narrows a copy of it.
type Queries struct {
	cluster *Cluster
	fields  []string
	after   *Mark
}

// Queries returns all queries so far.
func (c *Cluster) Queries() Queries { return Queries{cluster: c} }

func (q Queries) field(name, value string) Queries {
	q.fields = append(append([]string(nil), q.fields...), name+"="+value)
	return q
}

// Name selects names that match a pattern: db-1.*
func (q Queries) Name(pattern string) Queries { return q.field("name", pattern) }

// Type selects queries of this type.
func (q Queries) Type(record string) Queries { return q.field("type", record) }

// Client selects queries from this address.
func (q Queries) Client(address string) Queries { return q.field("client", address) }

// Pod selects queries from the pod NAME or NAMESPACE/NAME.
func (q Queries) Pod(name string) Queries { return q.field("pod", name) }

// Transport selects queries over udp, or over tcp.
func (q Queries) Transport(transport string) Queries { return q.field("transport", transport) }

// Rcode selects queries that were answered with this code; none: that were not answered.
func (q Queries) Rcode(rcode string) Queries { return q.field("rcode", rcode) }

// Fault selects queries that this fault hit.
func (q Queries) Fault(name string) Queries { return q.field("fault", name) }

// After selects queries that arrived after a mark, or after the DNS showed a change.
func (q Queries) After(mark Mark) Queries {
	q.after = &mark
	return q
}

// ask lists the queries, with an expectation of their number: "&atLeast=1".
func (q Queries) ask(expected string, wait time.Duration) ([]Query, error) {
	path := "/apis/clusterlocal.dev/v1/queries?fieldSelector=" + url.QueryEscape(strings.Join(q.fields, ",")) + expected
	if q.after != nil {
		path += fmt.Sprintf("&sinceSerial=%d&sinceQuery=%d", q.after.Serial, q.after.Query)
	}
	var list struct {
		Items []Query `json:"items"`
	}
	err := q.cluster.api.call(http.MethodGet, path, nil, &list, wait)
	return list.Items, err
}

func (q Queries) mustAsk(expected string, wait time.Duration) []Query {
	q.cluster.t.Helper()
	queries, err := q.ask(expected, wait)
	if err != nil {
		q.cluster.t.Fatalf("%v", err)
	}
	return queries
}

// All returns the queries so far, oldest first.
func (q Queries) All() []Query {
	q.cluster.t.Helper()
	return q.mustAsk("", 0)
}

// Count returns the number of queries so far.
func (q Queries) Count() int {
	q.cluster.t.Helper()
	return len(q.All())
}

// WaitFor waits until there are at least count queries, and returns them. It fails the test if there are fewer by then, with
// the latest queries of any kind.
func (q Queries) WaitFor(count int, within time.Duration) []Query {
	q.cluster.t.Helper()
	return q.mustAsk(fmt.Sprintf("&atLeast=%d&within=%s", count, span(within)), within)
}

// AssertNone fails the test if there is a query, and lists them.
func (q Queries) AssertNone() {
	q.cluster.t.Helper()
	q.mustAsk("&atMost=0", 0)
}
