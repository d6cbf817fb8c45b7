package activities

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// WatchedNodes reads which nodes the monitor is to look at.
func (a *Control) WatchedNodes(ctx context.Context) ([]fleet.WatchedNode, error) {
	return a.Registry.WatchedNodes(ctx)
}

// ObserveNodeResult is what a look at a node has found.
type ObserveNodeResult struct {
	Status     fleet.NodeStatus `json:"status"`
	Containers fleet.Observed   `json:"containers,omitempty"`
}

// ObserveNode looks how the node is, and at every container that it has.
func (a *Node) ObserveNode(ctx context.Context) (ObserveNodeResult, error) {
	engine, err := a.Runtime.Info(ctx)
	if err != nil {
		return ObserveNodeResult{}, err
	}
	containers, err := a.Runtime.List(ctx, nil)
	if err != nil {
		return ObserveNodeResult{}, err
	}
	var volumes []string
	for _, c := range containers {
		volumes = append(volumes, c.Volumes...)
	}
	status, err := a.Host.Status(ctx, engine.Storage, volumes)
	if err != nil {
		return ObserveNodeResult{}, err
	}
	status.Storage, status.MCP = engine.Storage, a.Version
	status.Runtime, status.Network, status.Cgroups = engine.Version, engine.Network, engine.Cgroups
	result := ObserveNodeResult{Containers: make([]fleet.ObservedContainer, 0, len(containers))}
	for _, c := range containers {
		status.Containers++
		if c.State == runtime.Running {
			status.Running++
		}
		result.Containers = append(result.Containers, Seen(c))
	}
	result.Status = status
	return result, nil
}

// Seen is what the monitor needs to know of a container.
func Seen(c runtime.ContainerInfo) fleet.ObservedContainer {
	return fleet.ObservedContainer{
		Container: Observed(c.Summary()), ID: c.ID, Image: c.Image, Digest: c.Digest, State: string(c.State),
		Health: c.Health, ExitCode: c.ExitCode, Restarts: c.Restarts, Started: c.Started,
	}
}

// RecordObservationResult is what follows from a look.
type RecordObservationResult struct {
	// Heal are the releases that are to be deployed again.
	Heal []fleet.Snapshot `json:"heal,omitempty"`
	// Alerting are the destinations that are still to be told of something.
	Alerting []string `json:"alerting,omitempty"`
}

// RecordObservation writes down what a look at a node has found, and what has
// changed with it.
func (a *Control) RecordObservation(ctx context.Context, in fleet.Observation) (RecordObservationResult, error) {
	var err error
	if in.Abandoned, err = a.abandoned(ctx); err != nil {
		return RecordObservationResult{}, err
	}
	in.Age += time.Since(activity.GetInfo(ctx).ScheduledTime) // both by this host's clock
	var result RecordObservationResult
	_, heal, err := a.Registry.RecordObservation(ctx, in, slices.Sorted(maps.Keys(a.Alerts)))
	if err != nil {
		return result, err
	}
	for _, h := range heal {
		release, err := a.Registry.Snapshot(ctx, h.Service, h.Release)
		if err != nil {
			return result, err
		}
		result.Heal = append(result.Heal, release)
	}
	if len(a.Alerts) > 0 {
		// Also what an earlier look has found, and nobody could be told of.
		result.Alerting, err = a.Registry.Alerting(ctx, tooLate)
	}
	return result, err
}

// abandoned are the deployments that somebody has terminated: without an
// outcome, the registry takes them to be under way until the next one.
func (a *Control) abandoned(ctx context.Context) (map[string]int, error) {
	found, err := a.Registry.UnderWay(ctx)
	if err != nil {
		return nil, err
	}
	for service := range found {
		held, err := a.Lock.Held(ctx, service)
		if err != nil {
			return nil, err
		}
		if held {
			delete(found, service)
		}
	}
	return found, nil
}

// ListNodeStates reads the nodes, with what the last look at each has found.
func (a *Control) ListNodeStates(ctx context.Context) ([]fleet.NodeState, error) {
	return a.Registry.NodeStates(ctx)
}

// ListEvents reads what the monitor has told, oldest first.
func (a *Control) ListEvents(ctx context.Context, in fleet.EventQuery) ([]fleet.Event, error) {
	return a.Registry.Events(ctx, in)
}
