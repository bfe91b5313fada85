// Prints the peers behind an SRV name, a line each: target, port, address. Then what is at a URL, if one is given.
// Arguments: name, URL.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	_, peers, err := net.LookupSRV("", "", os.Args[1])
	check(err)
	for _, peer := range peers {
		addresses, err := net.DefaultResolver.LookupIP(context.Background(), "ip4", peer.Target)
		check(err)
		for _, address := range addresses {
			fmt.Println(strings.TrimSuffix(peer.Target, "."), peer.Port, address)
		}
	}
	for _, url := range os.Args[2:] {
		reply, err := http.Get(url)
		check(err)
		body, err := io.ReadAll(reply.Body)
		check(err)
		fmt.Println(string(body))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
