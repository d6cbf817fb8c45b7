// Package envelopes reads the sealed values of a service's own secrets for the containers
// that are about to be started. Only a container's node can open them.
package envelopes

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// control only names an activity.
var control *oncontrol.Control

// Load reads the sealed values of a component's secrets. A left of 0 means no deadline.
func Load(ctx workflow.Context, service string, c servicedef.Component, left time.Duration) ([]secrets.Envelope, error) {
	if len(c.Versions) == 0 {
		return nil, nil
	}
	var in oncontrol.LoadEnvelopesInput
	for _, reference := range c.Versions.Names() {
		v := c.Versions[reference]
		ref := secrets.Ref{Service: service, Name: v.Name, Version: v.Version}
		if !slices.Contains(in.Refs, ref) {
			in.Refs = append(in.Refs, ref)
		}
	}
	found, err := call.Control(ctx, "load the sealed secrets of "+c.Name, left, control.LoadEnvelopes, in)
	return found.Envelopes, err
}

// Fill returns a task with the sealed values of its secrets, to start it. Other
// steps do without them. A left of 0 means no deadline.
func Fill(ctx workflow.Context, task onnode.TaskSpec, left time.Duration) (_ onnode.TaskSpec, err error) {
	task.Component.Envelopes, err = Load(ctx, task.Component.Service, task.Component.Definition, left)
	return task, err
}

// ToStart returns those of the components of a release on a node that are about to be
// started and have secrets of the service, with their sealed values: the engine may have
// lost them. A component with a version that is not kept any more is left out: its
// container starts if the engine has it. A left of 0 means no deadline.
func ToStart(ctx workflow.Context, release fleet.Release, name string, start []fleet.Ref, left time.Duration) ([]activities.ComponentSpec, error) {
	var sealed []activities.ComponentSpec
	for _, m := range release.Members() {
		starts := slices.ContainsFunc(start, func(r fleet.Ref) bool { return r.Name == m.Container })
		if m.Node != name || !starts || release.Definition == nil {
			continue
		}
		c, defined := release.Definition.Component(m.Component)
		if !defined || len(c.Versions) == 0 {
			continue
		}
		envelopes, err := Load(ctx, release.Service, c, left)
		switch {
		case err != nil && attempt.FaultOf(err).Kind == fault.NotFound:
			workflow.GetLogger(ctx).Warn("sealed secrets are not kept", "component", c.Name, "error", err)
			continue
		case err != nil:
			return nil, err
		}
		sealed = append(sealed, activities.ComponentSpec{
			Service: release.Service, Deployment: m.Deployment, Run: m.Run, Definition: c.ForNode(),
			Image: servicedef.ByDigest(m.Image, m.Digest), Spec: m.Spec, Envelopes: envelopes,
		})
	}
	return sealed, nil
}
