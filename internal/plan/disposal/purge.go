package disposal

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// MayPurge fails with a Conflict if a container of a service is, or may be left, on a
// node, or if a deployment of it has not ended.
func MayPurge(left fleet.Remains) error {
	service := left.Release.Service
	if members := left.Release.Members(); len(members) > 0 {
		var names []string
		for _, m := range members {
			names = append(names, fmt.Sprintf("%s on %s", m.Container, m.Node))
		}
		return fault.New(fault.Conflict, "release %d of %s has containers: %s", left.Release.Number, service, strings.Join(names, ", ")).
			WithHint("remove them first: mcp undeploy %s", service)
	}
	switch {
	case left.UnderWay != 0:
		return fault.New(fault.Conflict, "deployment %d of %s has not ended", left.UnderWay, service).
			WithHint("wait for its end, or cancel it: mcp cancel %s", service)
	case left.Release.Dirty && len(left.Release.Touched) > 0:
		return fault.New(fault.Conflict, "%s is dirty: containers of it may be left on %s", service, strings.Join(left.Release.Touched, ", ")).
			WithHint("remove them first: mcp undeploy %s", service)
	}
	return nil
}
