package activities

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// ClaimNode gives a node's name to a machine, if it may have it. A claim is
// left open where a worker may poll the node's queue, who must be asked first.
func (a *Control) ClaimNode(ctx context.Context, in fleet.Claim) (fleet.ClaimResult, error) {
	result, err := a.Registry.ClaimNode(ctx, in)
	if err != nil || result.Verdict != fleet.ClaimOpen {
		return result, err
	}
	polled, err := a.Queues.Polled(ctx, QueueNode(in.Node))
	if err != nil || polled {
		return result, err
	}
	in.Silent = &result.Holder.Machine
	return a.Registry.ClaimNode(ctx, in)
}

// Identify says whose worker this is.
func (a *Node) Identify(context.Context) (fleet.Answer, error) {
	return fleet.Answer{Machine: a.Machine, Address: a.Publish}, nil
}

// SetDrainingInput says whether a node gets no new container.
type SetDrainingInput struct {
	Node     string `json:"node"`
	Draining bool   `json:"draining"`
}

// SetDrainingResult is what should run there all the same.
type SetDrainingResult struct {
	Services []fleet.ServiceOn `json:"services"`
}

// SetDraining says whether a node gets no new container.
func (a *Control) SetDraining(ctx context.Context, in SetDrainingInput) (SetDrainingResult, error) {
	services, err := a.Registry.SetDraining(ctx, in.Node, in.Draining)
	return SetDrainingResult{Services: services}, err
}

// RemoveNodeInput names a node.
type RemoveNodeInput struct {
	Node string `json:"node"`
}

// RemoveNode forgets a node that nothing should run on.
func (a *Control) RemoveNode(ctx context.Context, in RemoveNodeInput) error {
	return a.Registry.RemoveNode(ctx, in.Node)
}
