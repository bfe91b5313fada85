// Package peers discovers peers by the SRV records of a headless Service; the peers that are known survive an outage of the
// DNS.
package peers

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Discovery has the peers of one service.
type Discovery struct {
	Resolver *net.Resolver
	Service  string
	Peers    map[netip.AddrPort]bool
}

// Refresh looks up all peers again. No such name means no peer; no answer means nothing.
func (d *Discovery) Refresh(ctx context.Context) map[netip.AddrPort]bool {
	peers, err := d.lookUp(ctx)
	var failure *net.DNSError
	if err == nil || errors.As(err, &failure) && failure.IsNotFound {
		d.Peers = peers
	}
	return d.Peers
}

func (d *Discovery) lookUp(ctx context.Context) (map[netip.AddrPort]bool, error) {
	_, records, err := d.Resolver.LookupSRV(ctx, "", "", d.Service)
	if err != nil {
		return nil, err
	}
	peers := map[netip.AddrPort]bool{}
	for _, record := range records {
		addresses, err := d.Resolver.LookupNetIP(ctx, "ip4", record.Target)
		if err != nil {
			return nil, err
		}
		peers[netip.AddrPortFrom(addresses[0].Unmap(), record.Port)] = true
	}
	return peers, nil
}
