package activities

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
)

// CutOverInput names the containers of one node that change places, by their
// real names.
type CutOverInput struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Replace are followed by the container that waits as name.next.
	Replace []string `json:"replace,omitempty"`
	// Leave step back and have no successor here.
	Leave []string `json:"leave,omitempty"`
	// Adopted are the service's containers here that mcp has not started.
	Adopted []plan.Adopted `json:"adopted,omitempty"`
}

// CutOverResult says whether the node has cut over.
type CutOverResult struct {
	// Refused is why it has not: nothing was renamed, so that the deploy can
	// still be undone. It is nil where all is done.
	Refused *fault.Error `json:"refused,omitempty"`
}

// CutOver renames: name → name.prev, then name.next → name. It looks first
// whether every successor still runs. From the first rename on the deploy only
// goes forward.
func (a *Node) CutOver(ctx context.Context, in CutOverInput) (CutOverResult, error) {
	s := step{service: in.Service, deployment: in.Deployment, alone: true, adopted: in.Adopted}
	result, err := inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (CutOverResult, error) {
		refused, err := a.refuse(ctx, in)
		if refused != nil || err != nil {
			return CutOverResult{Refused: refused}, err
		}
		return CutOverResult{}, a.swapAll(ctx, engine, in)
	})
	if err != nil {
		return result, a.placed(err, "")
	}
	return result, nil
}

// swapAll does all the renames of one node.
func (a *Node) swapAll(ctx context.Context, engine runtime.Runtime, in CutOverInput) error {
	for _, name := range in.Replace {
		if err := a.swap(ctx, engine, in.Service, name, in.Deployment); err != nil {
			return err
		}
	}
	for _, name := range in.Leave {
		if err := a.stepAside(ctx, engine, in.Service, name, in.Deployment); err != nil {
			return err
		}
	}
	return nil
}

// refuse says why the cut-over must not begin. One that has begun already, in
// an attempt that died, is not refused any more.
func (a *Node) refuse(ctx context.Context, in CutOverInput) (*fault.Error, error) {
	var refused *fault.Error
	for _, name := range in.Replace {
		done, err := alreadyCutOver(ctx, a.Runtime, in.Service, name, in.Deployment)
		if done || err != nil {
			return nil, err
		}
		next, err := a.Runtime.Inspect(ctx, name+plan.NextSuffix)
		switch {
		case fault.Is(err, fault.NotFound):
			refused = fault.New(fault.Unhealthy, "container %s%s is gone", name, plan.NextSuffix)
		case err != nil:
			return nil, err
		case next.State != runtime.Running:
			refused = fault.New(fault.Unhealthy, "container %s%s exited with code %d after it was healthy", name, plan.NextSuffix, next.ExitCode)
			refused.Log, _ = runtime.LastLines(ctx, a.Runtime, name+plan.NextSuffix, logLines, logLine) // without them it is still told
		}
		if refused != nil {
			refused.Node, refused.Component = a.Name, next.Labels[runtime.LabelComponent]
			return refused, nil
		}
	}
	return nil, nil
}

// alreadyCutOver reports whether the container of this deployment has its real
// name already.
func alreadyCutOver(ctx context.Context, engine runtime.Runtime, service, name string, deployment int) (bool, error) {
	info, err := engine.Inspect(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && info.Labels[runtime.LabelService] == service && deploymentOf(info) == deployment, err
}

// swap gives a container its real name, which its predecessor gives up. It
// looks what is there, since it may have died between its two renames.
func (a *Node) swap(ctx context.Context, engine runtime.Runtime, service, name string, deployment int) error {
	done, err := a.stepBack(ctx, engine, service, name, deployment)
	if done || err != nil {
		return err
	}
	return engine.Rename(ctx, name+plan.NextSuffix, name)
}

// stepAside sets a container aside that has no successor. Where somebody else's
// has taken its name, it is gone already.
func (a *Node) stepAside(ctx context.Context, engine runtime.Runtime, service, name string, deployment int) error {
	current, err := engine.Inspect(ctx, name)
	if err == nil && current.Labels[runtime.LabelService] != service {
		return nil
	}
	_, err = a.stepBack(ctx, engine, service, name, deployment)
	return err
}

// stepBack sets the container under a real name aside, unless it is this
// deployment's own, which it reports. It touches only containers of the service.
func (a *Node) stepBack(ctx context.Context, engine runtime.Runtime, service, name string, deployment int) (own bool, err error) {
	current, err := engine.Inspect(ctx, name)
	switch {
	case fault.Is(err, fault.NotFound):
		return false, nil
	case err != nil:
		return false, err
	case current.Labels[runtime.LabelService] != service:
		return false, fault.New(fault.Conflict, "container %s on node %s is not of service %s", name, a.Name, service)
	case deploymentOf(current) == deployment:
		return true, nil
	}
	if err := removeOwn(ctx, engine, service, name+plan.PrevSuffix); err != nil {
		return false, err
	}
	return false, engine.Rename(ctx, name, name+plan.PrevSuffix)
}
