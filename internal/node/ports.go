package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/metacircular/mcp/internal/fault"
)

// PortOptions selects the ports that may be allocated to routes.
type PortOptions struct {
	// Low and High are the inclusive bounds; 10000 and 60000 if zero.
	Low, High int
	// Address is the address on which routes are published; "" for all.
	Address string
}

const (
	DefaultPortLow  = 10000
	DefaultPortHigh = 60000
)

// EphemeralRange returns the inclusive bounds of the ports that the kernel uses as
// source ports of outgoing connections. A container cannot be published on such a
// port while a connection uses it, nor for a minute after.
func EphemeralRange() (low, high int, err error) {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, fmt.Errorf("read the ephemeral port range: %w", err)
	}
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		return 0, 0, fmt.Errorf("read the ephemeral port range in %s: %w", file, err)
	}
	return low, high, nil
}

// FreePorts returns n distinct ports outside the ephemeral range, in random order,
// that it could bind for tcp and udp. It returns fewer if fewer are free, and an
// error if none is.
func (o PortOptions) FreePorts(n int) ([]int, error) {
	candidates, err := o.candidates()
	if err != nil {
		return nil, err
	}
	found, tried := make([]int, 0, n), map[int]bool{}
	for len(found) < n && len(tried) < candidates.size() {
		port := candidates.at(rand.IntN(candidates.size()))
		if tried[port] {
			continue
		}
		tried[port] = true
		free, err := o.free(port)
		if err != nil {
			return nil, err
		}
		if free {
			found = append(found, port)
		}
	}
	if len(found) == 0 && n > 0 {
		return nil, fault.New(fault.PortInUse, "every port of %s is in use", o).
			WithHint("configure a wider port range for this node's worker")
	}
	return found, nil
}

// String returns the range, for messages.
func (o PortOptions) String() string {
	low, high := o.bounds()
	return fmt.Sprintf("%d–%d", low, high)
}

func (o PortOptions) bounds() (low, high int) {
	low, high = o.Low, o.High
	if low == 0 {
		low = DefaultPortLow
	}
	if high == 0 {
		high = DefaultPortHigh
	}
	return low, high
}

// span is the ports from low to high, both included; none if high is less than
// low.
type span struct{ low, high int }

func (s span) size() int { return max(0, s.high-s.low+1) }

// candidates holds the ports of a range below and above the ephemeral ones.
type candidates struct{ below, above span }

func (c candidates) size() int { return c.below.size() + c.above.size() }

// at returns the port at an index less than size.
func (c candidates) at(i int) int {
	if i < c.below.size() {
		return c.below.low + i
	}
	return c.above.low + i - c.below.size()
}

func (o PortOptions) candidates() (candidates, error) {
	low, high := o.bounds()
	if low < 1 || high > 65535 || low > high {
		return candidates{}, fault.New(fault.Invalid, "%s is not a valid port range", o)
	}
	ephemeralLow, ephemeralHigh, err := EphemeralRange()
	if err != nil {
		return candidates{}, err
	}
	c := candidates{below: span{low, min(high, ephemeralLow-1)}, above: span{max(low, ephemeralHigh+1), high}}
	if c.size() == 0 {
		return c, fault.New(fault.Invalid, "every port of %s is in this host's ephemeral range, %d–%d", o, ephemeralLow, ephemeralHigh).
			WithHint("configure a port range outside it for this node's worker, or narrow net.ipv4.ip_local_port_range")
	}
	return c, nil
}

// free reports whether a port can be bound, both on all addresses and on the one
// on which routes are published. It returns an error if that one is not an address
// of this host.
func (o PortOptions) free(port int) (bool, error) {
	for _, host := range []string{"0.0.0.0", o.Address} {
		if host == "" {
			continue
		}
		err := bind(net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, os.ErrPermission):
			return false, nil
		case err != nil:
			return false, fault.Wrap(fault.Invalid, err, "find free ports").
				WithHint("check that %s is an address of this host", host)
		}
	}
	return true, nil
}

// bind binds an address for tcp and udp, and releases it.
func bind(address string) error {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	return udp.Close()
}
