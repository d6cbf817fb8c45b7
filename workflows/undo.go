package workflows

import (
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
)

// undoTimeout bounds an undo step: a node that stays dead must not hold the
// service's lock for ever.
const undoTimeout = 2 * time.Minute

// undo is what undoes a deploy, noted before each step. On each node new containers
// go first, the last one first, and then the containers that were stopped for them
// start again, in the order of dependencies: so one activity a node is enough.
type undo struct {
	nodes []plan.Recovery
	ports bool
}

// remove notes that a container is about to be made.
func (u *undo) remove(node, container string) {
	r, made := u.node(node), fleet.Ref{Name: container}
	if !slices.Contains(r.Remove, made) {
		r.Remove = slices.Insert(r.Remove, 0, made)
	}
}

// start notes that a container is about to be stopped.
func (u *undo) start(node string, container fleet.Ref) {
	r := u.node(node)
	if !slices.Contains(r.Start, container) {
		r.Start = append(r.Start, container)
	}
}

func (u *undo) node(name string) *plan.Recovery {
	i := slices.IndexFunc(u.nodes, func(r plan.Recovery) bool { return r.Node == name })
	if i < 0 {
		i = len(u.nodes)
		u.nodes = append(u.nodes, plan.Recovery{Node: name})
	}
	return &u.nodes[i]
}
