package onnode

import (
	"context"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// StopContainerInput names a container to stop.
type StopContainerInput struct {
	Service    string    `json:"service"`
	Deployment int       `json:"deployment"`
	Run        string    `json:"run,omitempty"`
	Container  fleet.Ref `json:"container"`
	// Adopted are the service's adopted containers here.
	Adopted []fleet.Adopted `json:"adopted,omitempty"`
}

// StopContainer stops a container within its own stop timeout, and keeps it.
func (a *Node) StopContainer(ctx context.Context, in StopContainerInput) error {
	_, err := attempt.Reporting(ctx, func(ctx context.Context, r *attempt.Reporter) (struct{}, error) {
		r.Set("stop", in.Container.Name)
		s := step{service: in.Service, identity: identity{in.Deployment, in.Run}, adopted: in.Adopted}
		return inside(ctx, a, s, func(ctx context.Context, engine runtime.Runtime) (struct{}, error) {
			info, err := engine.Inspect(ctx, in.Container.Key())
			switch {
			case fault.Is(err, fault.NotFound):
				return struct{}{}, nil
			case err != nil || isOf(info, in.Service, s.identity):
				return struct{}{}, err // a late repetition finds the successor under that name
			}
			if err := engine.Stop(ctx, nameOf(info), info.StopTimeout); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, a.Names.Lead(ctx, engine, in.Service)
		})
	})
	if err != nil {
		return a.placed(err, "")
	}
	return nil
}
