package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// runNamed runs a container on the network of its service, with its secrets.
func (a *Node) runNamed(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec runtime.ContainerSpec) (id string, err error) {
	done, err := a.unseal(ctx, engine, c, &spec)
	if err != nil {
		return "", err
	}
	defer done()
	created, err := a.Names.Join(ctx, engine, c.Service, c.Definition, &spec)
	if err != nil {
		return "", err
	}
	id, err = a.runPermitted(ctx, engine, c, spec)
	created()
	if err != nil {
		return "", a.lacking(err, c.Service, c.Definition.Name)
	}
	return id, a.Names.Lead(ctx, engine, c.Service) // it has an id from now on, and with it a name for itself
}

// runPermitted runs a container that the policy of the node lets run: it is judged right
// before podman is asked, with what its mounts lead to then.
func (a *Node) runPermitted(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec runtime.ContainerSpec) (id string, err error) {
	pins, err := a.pin(&spec)
	if err == nil {
		err = a.permit(ctx, c)
	}
	if err == nil {
		err = a.permitPinned(ctx, c, spec)
	}
	if err == nil {
		err = a.admit(ctx, c)
	}
	if err != nil {
		return "", err
	}
	if id, err = engine.Run(ctx, spec); err != nil {
		return "", err
	}
	return id, a.verify(ctx, engine, id, pins)
}

// leadHealthy lets names lead to a container that waits for the cut-over if none of its
// component is released and runs.
func (a *Node) leadHealthy(ctx context.Context, c activities.ComponentSpec, name string) error {
	if a.Names.Files == nil || !c.Definition.OnServiceNetwork() {
		return nil
	}
	_, err := inside(ctx, a, step{service: c.Service, identity: identityOf(c)}, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
		info, err := engine.Inspect(ctx, name)
		if fault.Is(err, fault.NotFound) || err == nil && (identityIn(info.Labels) != identityOf(c) || info.Labels[runtime.LabelAddress] == "") {
			return struct{}{}, nil // the cut-over refuses it
		}
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, a.Names.Healthy(ctx, engine, c.Service, info.Labels)
	})
	return err
}
