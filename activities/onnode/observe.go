package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/runtime"
)

// ObserveNodeResult is the state of a node.
type ObserveNodeResult struct {
	Status     fleet.NodeStatus `json:"status"`
	Containers fleet.Observed   `json:"containers,omitempty"`
	// Policy is that of the node; nil if it has none.
	Policy *policy.Policy `json:"policy,omitempty"`
}

// ObserveNode reads the status of the node, and every container on it.
func (a *Node) ObserveNode(ctx context.Context) (ObserveNodeResult, error) {
	found, err := askEngine(ctx, a, a.observe)
	if err != nil {
		return ObserveNodeResult{}, err
	}
	engine, containers := found.engine, found.containers
	unled := a.Names.LeadAll(ctx, a.Runtime, containers)
	var volumes []string
	for _, c := range containers {
		volumes = append(volumes, c.Volumes...)
	}
	status, err := ask(ctx, func(ctx context.Context) (fleet.NodeStatus, error) {
		return a.Host.Status(ctx, engine.Storage, volumes)
	}, func() *fault.Error {
		return fault.New(fault.Unavailable, "the file systems of %s do not answer", a.Name).
			WithHint("a mount of a volume may hang: compare df with the volumes of the containers")
	})
	if err != nil {
		return ObserveNodeResult{}, err
	}
	status.Storage, status.MCP = engine.Storage, a.Version
	status.Runtime, status.Network, status.Cgroups = engine.Version, engine.Network, engine.Cgroups
	var rules *policy.Policy
	if a.Policies != nil {
		read := a.Policies.Policy()
		rules = &read
	}
	result := ObserveNodeResult{Policy: rules, Containers: make([]fleet.Container, 0, len(containers))}
	for _, c := range containers {
		status.Containers++
		if c.State == runtime.Running {
			status.Running++
		}
		container := described(c)
		if err := unled[container.Service]; err != nil && c.Labels[runtime.LabelAddress] != "" {
			container.Unnamed = fault.Of(err).Message
		}
		result.Containers = append(result.Containers, container.Checked())
	}
	result.Status = status
	return result, nil
}

// observed is what the engine reports about itself and about every container.
type observed struct {
	engine     runtime.EngineInfo
	containers []runtime.ContainerInfo
}

func (a *Node) observe(ctx context.Context) (observed, error) {
	engine, err := a.Runtime.Info(ctx)
	if err != nil {
		return observed{}, err
	}
	containers, err := a.Runtime.List(ctx, nil)
	return observed{engine, containers}, err
}
