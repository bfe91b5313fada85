// Resolves each name with Go's own resolver, and prints the result. Arguments: names.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	resolver := net.Resolver{PreferGo: true}
	for _, name := range os.Args[1:] {
		_, err := resolver.LookupHost(context.Background(), name)
		var failed *net.DNSError
		switch {
		case err == nil:
			fmt.Println(name, "found")
		case errors.As(err, &failed) && failed.IsNotFound && !failed.IsTemporary:
			fmt.Println(name, "not found")
		default:
			fmt.Println(name, err)
		}
	}
}
