package clusterlocaltest

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// A Pod is a handle of a pod, by its name: it also refers to the pod that replaces it.
type Pod struct {
	cluster *Cluster
	name    string
}

type podStatus struct {
	Status struct {
		PodIP      string `json:"podIP"`
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

func (p *Pod) status() podStatus {
	p.cluster.t.Helper()
	namespace, name, found := strings.Cut(p.name, "/")
	if !found {
		namespace, name = "default", p.name
	}
	var status podStatus
	err := p.cluster.api.call(http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods/"+name, nil, &status, 0)
	var failure *Error
	if errors.As(err, &failure) && failure.Code == http.StatusNotFound {
		return podStatus{}
	}
	if err != nil {
		p.cluster.t.Fatalf("%v", err)
	}
	return status
}

// Address is its current address; the zero Addr if there is no such pod, or it has no address yet.
func (p *Pod) Address() netip.Addr {
	p.cluster.t.Helper()
	return parsed(p.status().Status.PodIP)
}

// IsReady returns whether the pod is ready.
func (p *Pod) IsReady() bool {
	p.cluster.t.Helper()
	for _, condition := range p.status().Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

func (p *Pod) do(verb string, given arguments) *Change {
	p.cluster.t.Helper()
	given["name"] = p.name
	return p.cluster.do("pod/"+verb, given, 0)
}

// Ready makes the pod ready until that is changed.
func (p *Pod) Ready() *Change { p.cluster.t.Helper(); return p.do("ready", arguments{}) }

// Unready makes the pod not ready until that is changed.
func (p *Pod) Unready() *Change { p.cluster.t.Helper(); return p.do("unready", arguments{}) }

// Crash crashes a container of the pod.
func (p *Pod) Crash() *Change { p.cluster.t.Helper(); return p.do("crash", arguments{}) }

// Bind lets the pod be a socket of the test, 127.0.0.1:41234: its address, and its port of this name.
func (p *Pod) Bind(port, address string) *Change {
	p.cluster.t.Helper()
	return p.do("bind", arguments{"port": port, "address": address})
}

// Delete deletes the pod; it stops within its grace period.
func (p *Pod) Delete() *Change { p.cluster.t.Helper(); return p.do("delete", arguments{}) }

// ForceDelete deletes the pod at once.
func (p *Pod) ForceDelete() *Change { p.cluster.t.Helper(); return p.do("force-delete", arguments{}) }

// Restart deletes the pod and waits for the one that replaces it.
func (p *Pod) Restart() *Change { p.cluster.t.Helper(); return p.do("restart", arguments{}) }

// RestartWithIP is as Restart, and the pod that replaces it has this address.
func (p *Pod) RestartWithIP(address string) *Change {
	p.cluster.t.Helper()
	return p.do("restart", arguments{"address": address})
}

// A Node is a handle of a node.
type Node struct {
	cluster *Cluster
	name    string
}

func (n *Node) do(verb string) *Change {
	n.cluster.t.Helper()
	return n.cluster.do("node/"+verb, arguments{"name": n.name}, 0)
}

// Down cuts the node off from the control plane.
func (n *Node) Down() *Change { n.cluster.t.Helper(); return n.do("down") }

// Off switches the machine off.
func (n *Node) Off() *Change { n.cluster.t.Helper(); return n.do("off") }

// Up reconnects the node.
func (n *Node) Up() *Change { n.cluster.t.Helper(); return n.do("up") }

// Reboot boots the machine: its pods stay and get new addresses.
func (n *Node) Reboot() *Change { n.cluster.t.Helper(); return n.do("reboot") }
