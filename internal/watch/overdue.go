package watch

import (
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// MarkOverdue marks the nodes whose next observation is late, if each is observed once in
// that interval. Two may be missing, and a minute may always pass.
func MarkOverdue(nodes []fleet.NodeState, now time.Time, interval time.Duration) {
	limit := max(3*interval, time.Minute)
	for i := range nodes {
		nodes[i].Overdue = now.Sub(nodes[i].LastObserved()) > limit
	}
}
