// Go: net.DefaultResolver, and with it every connection by name.
// Names are complete, cassandra-0.cassandra.default.svc.cluster.local: search domains are those of the system.
// Other names: Go has one resolver for all names. Start the server with --upstream system, which forwards them.
// Save as clusterlocal.go in the package main of the program.
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
