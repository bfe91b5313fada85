package clusterlocaltest

import (
	"net/http"
	"time"
)

// Match selects the queries of a fault, and when it is in force. Fields that are zero select all.
type Match struct {
	// On is a pattern of names: _peer._tcp.*
	On string
	// Types of records: SRV.
	Types []string
	// Transport is udp or tcp.
	Transport string
	// Clients are pods, addresses or networks.
	Clients []string
	// Every hits each nth query.
	Every int
	// Probability of a hit, drawn from Seed.
	Probability float64
	Seed        uint64
	// Times is the maximum of hits.
	Times int
	// Priority: higher ones first.
	Priority int
	// After and For are times on the cluster's clock.
	After, For time.Duration
	// Name of the fault, if it is to have one.
	Name string
}

// A Fault in a cluster lasts until it is ended.
type Fault struct {
	cluster *Cluster
	// Name of the fault, as in the query log.
	Name string
}

// Fault adds a fault: "servfail", "delay 3s, refused", the preset "dns-outage 30s", or in turn "ok | drop".
func (c *Cluster) Fault(does string, match Match) *Fault {
	c.t.Helper()
	selects, spec := arguments{}, arguments{}
	set(selects, "name", match.On)
	set(selects, "transport", match.Transport)
	set(selects, "every", match.Every)
	set(selects, "probability", match.Probability)
	if len(match.Types) > 0 {
		selects["types"] = match.Types
	}
	if len(match.Clients) > 0 {
		selects["clients"] = match.Clients
	}
	spec["match"] = selects
	set(spec, "times", match.Times)
	set(spec, "priority", match.Priority)
	set(spec, "seed", match.Seed)
	if match.After > 0 {
		spec["after"] = span(match.After)
	}
	if match.For > 0 {
		spec["for"] = span(match.For)
	}
	given := arguments{"does": does, "spec": spec}
	set(given, "name", match.Name)
	var added struct {
		Name string `json:"name"`
	}
	if err := c.api.call(http.MethodPost, "/fixture/fault", given, &added, 0); err != nil {
		c.t.Fatalf("%v", err)
	}
	return &Fault{c, added.Name}
}

// set adds a value that is not zero.
func set[T comparable](given arguments, name string, value T) {
	var zero T
	if value != zero {
		given[name] = value
	}
}

// Hits is the number of queries and connections that it has hit.
func (f *Fault) Hits() int {
	f.cluster.t.Helper()
	var fault struct {
		Status struct {
			Hits int `json:"hits"`
		} `json:"status"`
	}
	err := f.cluster.api.call(http.MethodGet, "/apis/clusterlocal.dev/v1/faults/"+f.Name, nil, &fault, 0)
	if err != nil {
		f.cluster.t.Fatalf("%v", err)
	}
	return fault.Status.Hits
}

// End ends the fault and returns the change, for queries after it.
func (f *Fault) End() *Change {
	f.cluster.t.Helper()
	return f.cluster.Delete("Fault", f.Name)
}
