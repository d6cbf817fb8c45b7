package role

import (
	"net"
	"os"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
)

// machine identifies this host as a node's worker does, so that a node and an edge on
// one host are known to share it.
func machine(file string) (fleet.Machine, error) {
	id, err := node.MachineID(file)
	if err != nil {
		return fleet.Machine{}, fault.Wrap(fault.Invalid, err, "identify this machine").
			WithHint("name a file that mcp-edge may read: [node] machine in mcp.toml")
	}
	boot, _ := node.BootID() // only a node's containers depend on it
	hostname, _ := os.Hostname()
	return fleet.Machine{ID: id, Boot: boot, Hostname: hostname}, nil
}

// hostAddresses returns the addresses of this host's interfaces that others may reach,
// sorted.
func hostAddresses() []string {
	var list []string
	found, _ := net.InterfaceAddrs() // none is an answer too
	for _, address := range found {
		network, ok := address.(*net.IPNet)
		if ok && network.IP.IsGlobalUnicast() {
			list = append(list, network.IP.String())
		}
	}
	slices.Sort(list)
	return list
}
