// Go: net.DefaultResolver, and with it every connection by name.
// Names are whole, cassandra-0.cassandra.default.svc.cluster.local: the search domains are those of the system.
// Other names: Go asks one resolver for all of them. Start the server with --upstream system, which forwards them.
// Save as clusterlocal.go beside the program's func main.
package main

import (
	"context"
	"net"
)

func init() {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:10053")
	}}
}
