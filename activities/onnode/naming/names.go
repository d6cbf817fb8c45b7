// Package naming lets the names of a service's components lead to its containers on a node:
// it connects them to the network of the service, gives them addresses, and keeps the files
// that they have as /etc/hosts.
package naming

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan/leads"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// Files are those that containers have as /etc/hosts, by service and key. No two
// containers ever have the same key.
type Files interface {
	Path(service, key string) string
	// Keep writes files so that the containers see all of a change at once, and
	// removes all others of the service.
	Keep(service string, texts map[string]string) error
	// Mark marks the container of a key as healthy, until its file is removed.
	Mark(service, key string) error
	Marked(service, key string) bool
}

// Names are the names of a node. The zero value is for a node whose containers have none.
type Names struct {
	// Files are what the names are written to; nil for none.
	Files Files

	mu sync.Mutex // held while files and networks are made, written and removed
	// joining are containers that are about to be created. Two attempts may be about to
	// create the same one.
	joining map[*joining]bool
	// led is when the names of a service began to lead elsewhere, and leads where they
	// lead.
	led   map[string]time.Time
	leads map[string][]leads.Lead
	// actual are the addresses of containers that run, by id, as far as they are known.
	actual map[string]netip.Addr
}

// joining is what a container that is about to be created takes.
type joining struct {
	service, key string
	address      netip.Addr
	extra        string
}

// note records when the names began to lead elsewhere.
func (n *Names) note(service string, to []leads.Lead) {
	if n.led == nil {
		n.led, n.leads = map[string]time.Time{}, map[string][]leads.Lead{}
	}
	same := func(a, b leads.Lead) bool { return a.Address == b.Address && slices.Equal(a.Names, b.Names) }
	if former, known := n.leads[service]; !known || !slices.EqualFunc(former, to, same) {
		n.led[service], n.leads[service] = time.Now(), to
	}
}

// joins reports whether a container of the service is about to be created.
func (n *Names) joins(service string) bool {
	for j := range n.joining {
		if j.service == service {
			return true
		}
	}
	return false
}

// addressFor returns a free address for a container; the one that it has if it exists. A
// random one makes it unlikely that a client that still has the address of a container
// which is gone finds another one there.
func (n *Names) addressFor(spec *runtime.ContainerSpec, network runtime.NetworkInfo, here []runtime.ContainerSummary) (netip.Addr, error) {
	taken := map[netip.Addr]bool{network.Gateway: true}
	for _, c := range here {
		if c.Name == spec.Name && spec.MatchesLabels(c.Labels) {
			return addressIn(c.Labels).Addr(), nil
		}
		taken[addressIn(c.Labels).Addr()], taken[n.addressOf(c)] = true, true
	}
	for j := range n.joining {
		taken[j.address] = true
	}
	first := network.Subnet.Masked().Addr().As4()
	base := uint32(first[0])<<24 | uint32(first[1])<<16 | uint32(first[2])<<8 | uint32(first[3])
	size := uint32(1) << (32 - network.Subnet.Bits())
	offset := rand.Uint32N(size)
	for i := range size {
		host := (offset + i) % size
		if host == 0 || host == size-1 { // the network and its broadcast
			continue
		}
		v := base + host
		address := netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
		if !taken[address] {
			return address, nil
		}
	}
	return netip.Addr{}, fault.New(fault.Invalid, "network %s has no free address in %s", network.Name, network.Subnet).
		WithHint("a start-first update needs two addresses for each component: spread the components over nodes or services")
}

// learn records the address that a container has.
func (n *Names) learn(c runtime.ContainerInfo) {
	if n.actual == nil {
		n.actual = map[string]netip.Addr{}
	}
	if c.State == runtime.Running {
		n.actual[c.ID] = c.Addresses[servicedef.ServiceNetwork(c.Labels[runtime.LabelService])]
	}
}

// Forget lets all addresses be learned again: a start may have changed one.
func (n *Names) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.actual = nil
}

// addressOf returns the address of a container on the network of its service: the one that
// it was given, unless the engine could not give it that when it started.
func (n *Names) addressOf(c runtime.ContainerSummary) netip.Addr {
	if actual := n.actual[c.ID]; actual.IsValid() && c.State == runtime.Running {
		return actual
	}
	return addressIn(c.Labels).Addr()
}

// addressIn returns the address in labels, with the size of its network; the zero value if
// there is none.
func addressIn(labels map[string]string) netip.Prefix {
	prefix, err := netip.ParsePrefix(labels[runtime.LabelAddress])
	if err != nil || !prefix.Addr().Is4() {
		return netip.Prefix{}
	}
	return prefix
}
