// Prints the peers behind an SRV name, a line each: target, port, address. Arguments: port, name.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

func main() {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+os.Args[1])
	}}
	_, peers, err := resolver.LookupSRV(context.Background(), "", "", os.Args[2])
	check(err)
	for _, peer := range peers {
		addresses, err := resolver.LookupIP(context.Background(), "ip4", peer.Target)
		check(err)
		for _, address := range addresses {
			fmt.Println(strings.TrimSuffix(peer.Target, "."), peer.Port, address)
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
