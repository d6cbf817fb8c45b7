package oncontrol

import (
	"context"
	"time"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/watch"
)

// RecordNode records that a node's worker announced itself, and returns what has
// to be done if its host has booted.
func (a *Control) RecordNode(ctx context.Context, in fleet.NodeRecord) (fleet.Boot, error) {
	return a.Registry.RecordNode(ctx, in.Checked())
}

// MarkRevivedInput names a boot of a node's host.
type MarkRevivedInput struct {
	Node string `json:"node"`
	Boot string `json:"boot"`
}

// MarkRevived records that the containers which the boot ended run again.
func (a *Control) MarkRevived(ctx context.Context, in MarkRevivedInput) error {
	return a.Registry.MarkRevived(ctx, in.Node, in.Boot)
}

// ListNodes reads the nodes of the fleet.
func (a *Control) ListNodes(ctx context.Context) ([]fleet.NodeRecord, error) {
	return a.Registry.Nodes(ctx)
}

// LastSeen returns when a node's worker was last seen: it announced itself, answered the
// monitor, or called Temporal. It is zero for a node that was never seen. What Temporal
// does not report is left out.
func (a *Control) LastSeen(ctx context.Context, node string) (time.Time, error) {
	seen, err := a.Registry.LastSeen(ctx, node)
	if err != nil {
		return time.Time{}, err
	}
	if called := a.Queues.LastCall(ctx, activities.QueueNode(node)); called.After(seen) {
		seen = called
	}
	return seen, nil
}

// ListNodeStates reads the nodes, each with its last observation.
func (a *Control) ListNodeStates(ctx context.Context) ([]fleet.NodeState, error) {
	states, err := a.Registry.NodeStates(ctx)
	watch.MarkOverdue(states, time.Now(), a.MonitorInterval)
	return states, err
}

// ClaimNode gives a node's name to a machine, if it may have it. A claim is
// left open if a worker may poll the node's queue: that worker must be asked first.
func (a *Control) ClaimNode(ctx context.Context, in fleet.Claim) (fleet.ClaimResult, error) {
	in = withKeys(in.Checked())
	result, err := a.Registry.ClaimNode(ctx, in, a.destinations(), watch.Judge)
	if err != nil || result.Verdict != fleet.ClaimOpen {
		return result, err
	}
	polled, err := a.Queues.Polled(ctx, activities.QueueNode(in.Node))
	if err != nil || polled {
		return result, err
	}
	in.Silent = &result.Holder.Machine
	return a.Registry.ClaimNode(ctx, in, a.destinations(), watch.Judge)
}

// withKeys returns a claim with its keys in the one form in which they are compared, and
// without what is not a key.
func withKeys(in fleet.Claim) fleet.Claim {
	key, err := seal.ParseKey(in.Key)
	if err != nil {
		key = seal.Key{}
	}
	in.Key = key.String()
	var signers []string
	for _, text := range in.Signers {
		if signer, err := secrets.ParseSigner(text); err == nil {
			signers = append(signers, signer.String())
		}
	}
	in.Signers = signers
	return in
}

// SetDrainingInput says whether a node gets no new container.
type SetDrainingInput struct {
	Node     string `json:"node"`
	Draining bool   `json:"draining"`
}

// SetDrainingResult is what should run there nevertheless.
type SetDrainingResult struct {
	Services []fleet.ServiceOn `json:"services"`
}

// SetDraining records whether a node gets no new container.
func (a *Control) SetDraining(ctx context.Context, in SetDrainingInput) (SetDrainingResult, error) {
	services, err := a.Registry.SetDraining(ctx, in.Node, in.Draining)
	return SetDrainingResult{Services: services}, err
}

// RemoveNodeInput names a node.
type RemoveNodeInput struct {
	Node string `json:"node"`
}

// RemoveNodeResult reports whether any record names the node.
type RemoveNodeResult struct {
	Named bool `json:"named"`
}

// RemoveNode deletes a node on which nothing should run.
func (a *Control) RemoveNode(ctx context.Context, in RemoveNodeInput) (RemoveNodeResult, error) {
	if err := a.closeLost(ctx); err != nil {
		return RemoveNodeResult{}, err
	}
	named, err := a.Registry.RemoveNode(ctx, in.Node, watch.MayRemove)
	return RemoveNodeResult{Named: named}, err
}
