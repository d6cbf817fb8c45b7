package workflows

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// turn makes the definition of a stop, a start or a restart: the release's.
func (d *deploy) turn(ctx workflow.Context, release fleet.Release) error {
	if err := turnable(d.in, release); err != nil {
		return err
	}
	d.in.Definition = *release.Definition
	if d.in.Turn != VerbRestart {
		d.in.Definition.Active = d.in.Turn == VerbStart
	}
	if d.in.Definition.Active && len(d.in.Only) == 0 {
		d.in.Only = released(release)
	}
	return d.tellNodes(ctx, release)
}

// turnable fails where there is no release, or where it is not one to restart.
func turnable(in DeployInput, release fleet.Release) error {
	if err := present(release, in.Turn, in.Only); err != nil {
		return err
	}
	if in.Turn == VerbRestart && !release.Active {
		return fault.New(fault.Conflict, "service %s is stopped", release.Service).WithHint("start it: mcp start %s", release.Service)
	}
	return nil
}

// present fails where a service has no release with containers to do something
// to, or where that has not the components.
func present(release fleet.Release, doing string, components []string) error {
	service := release.Service
	switch {
	case release.Newest == 0:
		return neverDeployed(service)
	case release.Definition == nil:
		return fault.New(fault.NotFound, "service %s has no release: no deploy of it has succeeded", service).
			WithHint("see why: mcp history %s", service)
	case len(release.Components) == 0:
		return fault.New(fault.NotFound, "service %s is undeployed: there is nothing to %s", service, doing).
			WithHint("bring back what ran: mcp rollback %s; or deploy its definition: mcp deploy %s", service, service)
	}
	for _, name := range components {
		if _, known := release.Components[name]; !known {
			var names []string
			for _, m := range release.Members() {
				names = append(names, m.Component)
			}
			return fault.New(fault.NotFound, "the release of service %s has no component %s: it has %s", service, name, strings.Join(names, ", "))
		}
	}
	return nil
}

// released are the components that a release has, where its definition names
// more: those have never been deployed. Else none, which means all.
func released(release fleet.Release) []string {
	if len(release.Components) == len(release.Definition.Components) {
		return nil
	}
	var names []string
	for _, m := range release.Members() {
		names = append(names, m.Component)
	}
	return names
}

// digest is what a component's new container runs by.
func (d *deploy) digest(c servicedef.Component) string {
	if d.in.Turn != "" {
		return d.release.Components[c.Name].Digest
	}
	return d.digests[c.Image]
}
