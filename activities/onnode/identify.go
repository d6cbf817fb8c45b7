package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// Identify names the machine of this worker.
func (a *Node) Identify(context.Context) (fleet.Answer, error) {
	return fleet.Answer{Machine: a.Machine, Address: a.Publish}, nil
}
