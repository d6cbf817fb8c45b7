package activities

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

// eventBatch is how many events are taken away in one transaction: looks that
// have something to tell wait for it.
const eventBatch = 1000

// ThinHistory keeps of the looks and events what is to be kept. It goes on
// where a former attempt has ended: each step of it is a transaction.
func (a *Control) ThinHistory(ctx context.Context, keep watch.Retention) error {
	_, err := reporting(ctx, func(ctx context.Context, r *reporter) (struct{}, error) {
		r.set("thin", "looks")
		if err := a.thinSamples(ctx, keep); err != nil {
			return struct{}{}, err
		}
		r.set("thin", "events")
		return struct{}{}, a.thinEvents(ctx, keep)
	})
	return err
}

// thinSamples takes one hour of one node after the other.
func (a *Control) thinSamples(ctx context.Context, keep watch.Retention) error {
	nodes, err := a.Registry.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		for more := true; more; {
			if more, err = a.Registry.ThinSamples(ctx, node.Name, keep.Whole); err != nil {
				return err
			}
		}
	}
	return a.Registry.DropHours(ctx, keep.Any)
}

func (a *Control) thinEvents(ctx context.Context, keep watch.Retention) error {
	err := inBatches(func() (int, error) { return a.Registry.DropEvents(ctx, keep.Any, eventBatch) })
	if err != nil {
		return err
	}
	return inBatches(func() (int, error) { return a.Registry.FoldEvents(ctx, keep.Whole, eventBatch) })
}

// inBatches goes on until a batch is not full.
func inBatches(take func() (int, error)) error {
	for {
		if n, err := take(); err != nil || n < eventBatch {
			return err
		}
	}
}

// LoadNodeHistoryInput names a node, and since when to tell of it.
type LoadNodeHistoryInput struct {
	Node string    `json:"node"`
	From time.Time `json:"from"`
}

// LoadNodeHistory reads how a node has been.
func (a *Control) LoadNodeHistory(ctx context.Context, in LoadNodeHistoryInput) (fleet.NodeHistory, error) {
	return a.Registry.History(ctx, in.Node, in.From)
}
