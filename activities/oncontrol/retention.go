package oncontrol

import (
	"context"
	"time"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

// eventBatch is how many events are dropped in one transaction: observations that
// have events to record wait for it.
const eventBatch = 1000

// ThinHistory drops the samples, events and records of edges that are not kept. It goes on where a
// former attempt has ended: each step of it is a transaction.
func (a *Control) ThinHistory(ctx context.Context, keep watch.Retention) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		r.Set("thin", "samples")
		if err := thinSamples(ctx, a.Registry, a.Registry, keep); err != nil {
			return struct{}{}, err
		}
		r.Set("thin", "events")
		if err := thinEvents(ctx, a.Registry, keep); err != nil {
			return struct{}{}, err
		}
		r.Set("thin", "edges")
		return struct{}{}, a.Registry.ThinEdges(ctx, keep.Any)
	})
	return err
}

// thinSamples folds one hour of one node after the other.
func thinSamples(ctx context.Context, nodes NodeStore, samples HistoryStore, keep watch.Retention) error {
	all, err := nodes.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range all {
		for more := true; more; {
			if more, err = samples.ThinSamples(ctx, node.Name, keep.Whole); err != nil {
				return err
			}
			attempt.Progressed(ctx)
		}
	}
	return samples.DropHours(ctx, keep.Any)
}

func thinEvents(ctx context.Context, store EventStore, keep watch.Retention) error {
	err := inBatches(ctx, func() (int, error) { return store.DropEvents(ctx, keep.Any, eventBatch) })
	if err != nil {
		return err
	}
	return inBatches(ctx, func() (int, error) { return store.FoldEvents(ctx, keep.Whole, eventBatch) })
}

// inBatches calls take until a batch is not full.
func inBatches(ctx context.Context, take func() (int, error)) error {
	for {
		if n, err := take(); err != nil || n < eventBatch {
			return err
		}
		attempt.Progressed(ctx)
	}
}

// LoadNodeHistoryInput names a node, and the time from which to summarize.
type LoadNodeHistoryInput struct {
	Node string    `json:"node"`
	From time.Time `json:"from"`
}

// LoadNodeHistory summarizes the figures of a node.
func (a *Control) LoadNodeHistory(ctx context.Context, in LoadNodeHistoryInput) (fleet.NodeHistory, error) {
	return a.Registry.History(ctx, in.Node, in.From)
}
