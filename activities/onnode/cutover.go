package onnode

import (
	"context"
	"slices"

	"github.com/metacircular/mcp/activities/onnode/health"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// CutOverInput names the containers of one node that are replaced or removed, by
// their real names and their ids.
type CutOverInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Run        string `json:"run,omitempty"`
	// Replace are replaced by the container that waits as name.next.
	Replace []fleet.Ref `json:"replace,omitempty"`
	// Leave are set aside and have no successor here. One that has another name keeps
	// that.
	Leave []fleet.Ref `json:"leave,omitempty"`
	// Once are those of Replace whose successor may have ended by itself, with exit
	// code 0.
	Once []string `json:"once,omitempty"`
	// Adopted are the service's adopted containers here.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// CutOverResult is whether the node has cut over.
type CutOverResult struct {
	// Refused is why it has not: nothing was renamed, so that the deploy can
	// still be undone. It is nil if the cut-over is complete.
	Refused *fault.Error `json:"refused,omitempty"`
	// Boot is the present boot of the node's host; "" if that is unknown. If a container
	// was healthy in another boot, this one has ended the container.
	Boot string `json:"boot,omitempty"`
}

// CutOver renames: name → name.prev, then name.next → name. It checks first that
// every successor still runs, without a restart since it was started, and refuses
// otherwise.
func (a *Node) CutOver(ctx context.Context, in CutOverInput) (CutOverResult, error) {
	s := step{service: in.Service, identity: in.identity(), alone: true, adopted: in.Adopted}
	result, err := inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (CutOverResult, error) {
		here, err := holdings(ctx, engine, in.Service)
		if err != nil {
			return CutOverResult{}, err
		}
		refused, err := a.refuse(ctx, here, in)
		if refused != nil || err != nil {
			return CutOverResult{Refused: refused, Boot: a.Machine.Boot}, err
		}
		if err := here.swapAll(ctx, engine, in); err != nil {
			return CutOverResult{}, err
		}
		return CutOverResult{}, a.Names.Lead(ctx, engine, in.Service)
	})
	if err != nil {
		return result, a.placed(err, "")
	}
	return result, nil
}

func (in CutOverInput) identity() identity { return identity{in.Deployment, in.Run} }

// holding is the containers of a service on a node, by name. No other step changes
// them inside the fence while this one is alone there.
type holding map[string]runtime.ContainerSummary

// holdings lists the containers of a service here.
func holdings(ctx context.Context, engine runtime.Runtime, service string) (holding, error) {
	containers, err := engine.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: service}})
	if err != nil {
		return nil, err
	}
	here := make(holding, len(containers))
	for _, c := range containers {
		here[c.Name] = c
	}
	return here, nil
}

// released reports whether the container of a deployment has its real name
// already.
func (h holding) released(name string, deployment identity) bool {
	current, found := h[name]
	return found && identityIn(current.Labels) == deployment
}

// refuse returns the reason why the cut-over must not begin. One that has begun
// already, in an attempt that died, is not refused any more.
func (a *Node) refuse(ctx context.Context, here holding, in CutOverInput) (*fault.Error, error) {
	for _, replaced := range in.Replace {
		name := replaced.Name
		if here.released(name, in.identity()) {
			return nil, nil
		}
		next := here[name+fleet.NextSuffix]
		ended, err := a.Runtime.Inspect(ctx, name+fleet.NextSuffix)
		var refused *fault.Error
		switch {
		case err == nil && ended.State == runtime.Running && ended.Restarts == 0:
			continue
		case err == nil && ended.State == runtime.Stopped && ended.ExitCode == 0 && slices.Contains(in.Once, name):
			continue
		case fault.Is(err, fault.NotFound):
			refused = fault.New(fault.Unhealthy, "container %s%s is gone", name, fleet.NextSuffix)
		case err != nil:
			return nil, err
		default:
			refused = fault.New(fault.Unhealthy, "container %s %s after it was healthy", ended.Name, ended.End())
			refused.Log, _ = health.LastLines(ctx, a.Runtime, ended.Name) // the refusal stands without them
		}
		refused.Node, refused.Component = a.Name, next.Labels[runtime.LabelComponent]
		return refused, nil
	}
	return nil, nil
}

// swapAll does all the renames of one node. It does not repeat those of an attempt
// that died between two of them.
func (h holding) swapAll(ctx context.Context, engine runtime.Runtime, in CutOverInput) error {
	for _, old := range in.Replace {
		if h.released(old.Name, in.identity()) {
			continue
		}
		if err := h.stepAside(ctx, engine, old.Name); err != nil {
			return err
		}
		if err := engine.Rename(ctx, old.Name+fleet.NextSuffix, old.Name); err != nil {
			return err
		}
	}
	for _, old := range in.Leave {
		if h.released(old.Name, in.identity()) {
			continue
		}
		if err := h.stepAside(ctx, engine, old.Name); err != nil {
			return err
		}
	}
	return nil
}

// stepAside sets the service's container of that name aside. If there is none, or a
// foreign one has the name, there is nothing to do.
func (h holding) stepAside(ctx context.Context, engine runtime.Runtime, name string) error {
	if _, found := h[name]; !found {
		return nil
	}
	prev := name + fleet.PrevSuffix
	if _, leftOver := h[prev]; leftOver {
		if err := engine.Remove(ctx, prev); err != nil {
			return err
		}
	}
	return engine.Rename(ctx, name, prev)
}
