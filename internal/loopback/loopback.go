// Package loopback keeps connections without encryption on this machine.
package loopback

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// lookupTime bounds how long a name may take to be resolved by Check.
const lookupTime = 2 * time.Second

// Check refuses a host to which a plain connection leaves this machine: an address that
// is not one of loopback, and a name that leads to one. A name that cannot be resolved
// now passes: Control refuses it when it is dialled.
func Check(ctx context.Context, host string) error {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if address, err := netip.ParseAddr(host); err == nil {
		if !local(address) {
			return leaves(host, "")
		}
		return nil
	}
	switch name := strings.ToLower(strings.TrimSuffix(host, ".")); {
	case host == "", strings.HasPrefix(host, "/"), strings.HasPrefix(host, "@"): // this host, or a socket of it
		return nil
	case name == "localhost": // which no resolver needs to be asked about, and Control checks
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for _, address := range found {
		if !local(address) {
			return leaves(host, address.Unmap().String())
		}
	}
	return nil
}

// CheckAddress is Check for host:port.
func CheckAddress(ctx context.Context, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return Check(ctx, host)
}

// local reports whether an address is one of this machine alone.
func local(address netip.Addr) bool { return address.Unmap().IsLoopback() }

// leaves is the error of a connection that would leave this machine.
func leaves(host, address string) error {
	if address != "" && address != host {
		host += " (" + address + ")"
	}
	return fault.New(fault.Invalid, "the connection to %s leaves this machine, and is not encrypted", host)
}

// Control is the [net.Dialer] function that refuses a connection to an address that is
// not of this machine, whatever name has led to it.
func Control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !local(at.Addr()) {
		return leaves(address, "")
	}
	return nil
}

// Dialer returns a dialer that connects to this machine alone.
func Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, ControlContext: Control}
}

// Transport returns a transport whose requests without encryption reach this machine
// alone; requests with encryption use the given transport.
func Transport(encrypted *http.Transport) http.RoundTripper {
	here := encrypted.Clone()
	here.Proxy, here.DialContext = nil, Dialer(dialTime).DialContext
	return transport{encrypted: encrypted, here: here}
}

const dialTime = 5 * time.Second

type transport struct{ encrypted, here http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return t.encrypted.RoundTrip(r)
	}
	return t.here.RoundTrip(r)
}
