package watch

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Judge decides a claim on the name that h holds; the zero Holder is no machine.
//
// A name stays with its machine until the node is removed. That the machine does
// not answer proves nothing: once its network is back, its worker would take tasks
// that are meant for another. A new boot of the machine may be a clone with the
// same identity, and an unclaimed name may be that of a node which was removed
// while its worker ran. In these two cases the poller of the node's queue decides.
func Judge(h fleet.Holder, c fleet.Claim) fleet.Verdict {
	switch {
	case h.Machine.ID != "" && h.Machine.ID != c.Machine.ID:
		return fleet.ClaimRefused
	case h.Machine.Same(c.Machine), c.Silent != nil && c.Silent.Same(h.Machine):
		return fleet.ClaimGranted
	}
	return fleet.ClaimOpen
}

// MayRemove fails with a Conflict if a node is needed: it has components, or a
// deployment may be about to put some there.
func MayRemove(use fleet.NodeUse) error {
	if len(use.Services) > 0 {
		var names []string
		for _, s := range use.Services {
			names = append(names, fmt.Sprintf("%s (%s)", s.Service, strings.Join(s.Components, ", ")))
		}
		f := fault.New(fault.Conflict, "node %s is to run %s", use.Node, strings.Join(names, ", ")).
			WithHint("give them another node and deploy them, or undeploy them: mcp undeploy %s", use.Services[0].Service)
		f.Node = use.Node
		return f
	}
	if use.Deploying != "" {
		return fault.New(fault.Conflict, "a deployment of %s to node %s is under way", use.Deploying, use.Node).
			WithHint("wait for its end, or cancel it: mcp cancel %[1]s", use.Deploying)
	}
	return nil
}
