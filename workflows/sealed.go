package workflows

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// chooseSecrets finds the versions of the service's own secrets that new containers have.
func (d *deploy) chooseSecrets() {
	if !d.verb.renews {
		return
	}
	chosen := func(component string) bool { return len(d.only) == 0 || slices.Contains(d.only, component) }
	d.desired = plan.NewestSecrets(d.desired, d.release, chosen)
}

// hasSecrets reports whether the service has secrets of its own, or had some.
func (d *deploy) hasSecrets() bool { return len(d.release.Secrets) > 0 || d.desired.HasSecrets() }

// engineSecrets are the secrets of a component that are not the service's own: the engine
// of its node must have them.
func engineSecrets(c servicedef.Component) []string {
	composed := c.ComposedNames()
	return slices.DeleteFunc(c.SecretNames(), func(name string) bool {
		_, own := c.Versions[name]
		return own || slices.Contains(composed, name)
	})
}

// loadEnvelopes reads the sealed values of a component's secrets. A left of 0 is without a
// deadline.
func loadEnvelopes(ctx workflow.Context, service string, c servicedef.Component, left time.Duration) ([]secrets.Envelope, error) {
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
	found, err := callControl(ctx, "load the sealed secrets of "+c.Name, left, control.LoadEnvelopes, in)
	return found.Envelopes, err
}

// withEnvelopes returns a task with the sealed values of its secrets, to start it. Other
// steps do without them.
func withEnvelopes(ctx workflow.Context, task onnode.TaskSpec, left time.Duration) (_ onnode.TaskSpec, err error) {
	task.Component.Envelopes, err = loadEnvelopes(ctx, task.Component.Service, task.Component.Definition, left)
	return task, err
}

// sealedOf returns those of the components of a release on a node that are about to be
// started and have secrets of the service, with their sealed values: the engine may have
// lost them. A component with a version that is not kept any more is left out: its
// container starts if the engine has it. A left of 0 is without a deadline.
func sealedOf(ctx workflow.Context, release fleet.Release, name string, start []fleet.Ref, left time.Duration) ([]activities.ComponentSpec, error) {
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
		envelopes, err := loadEnvelopes(ctx, release.Service, c, left)
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

// buildSecrets reads the sealed values of the service's own secrets that a build has, at
// their newest versions: what an image has from a secret is in the image, and a rollback
// builds none.
func buildSecrets(ctx workflow.Context, definition servicedef.Service, image string, build servicedef.ImageBuild, left time.Duration) (oncontrol.LoadBuildSecretsResult, error) {
	own := build.OwnSecrets()
	if len(own) == 0 {
		return oncontrol.LoadBuildSecretsResult{}, nil
	}
	in := oncontrol.LoadBuildSecretsInput{Service: definition.Name, Names: map[string][]string{}}
	for _, reference := range own {
		in.Names[reference] = definition.SecretCandidates(reference)
	}
	return callControl(ctx, "load the sealed secrets of the build of "+image, left, control.LoadBuildSecrets, in)
}

// requireBuildSecrets fails where a build needs one of the service's own secrets that is
// not set.
func (d *deploy) requireBuildSecrets(images []string) error {
	isSet := func(name string) bool { return d.release.Secrets[name].Newest > 0 }
	for _, image := range images {
		build, _ := d.desired.ImageBuild(image)
		for _, reference := range build.OwnSecrets() {
			if _, found := d.desired.SecretName(reference, isSet); !found {
				return oncontrol.UnsetBuildSecret(d.desired.Name, reference)
			}
		}
	}
	return nil
}

// pruneSecrets removes the secrets from the nodes that no release needs any more, once the
// predecessors are gone. After an undeploy none is needed: what a rollback brings back, it
// brings again. What fails is housekeeping of the next release.
func (d *deploy) pruneSecrets(ctx workflow.Context) {
	if !d.hasSecrets() {
		return
	}
	in := onnode.PruneSecretsInput{Service: d.desired.Name, Deployment: d.number, Run: d.runID}
	if !d.verb.removes {
		for _, kept := range d.stale.Secrets {
			in.Keep = append(in.Keep, secrets.Ref{Service: d.desired.Name, Name: kept.Name, Version: kept.Version}.EngineName())
		}
	}
	g := newGroup(ctx)
	for _, name := range workflow.DeterministicKeys(d.nodes) {
		if !d.reachable(name) {
			continue
		}
		step := pruneStep(g.ctx, activities.QueueNode(name), "prune secrets on "+name)
		g.add(workflow.ExecuteActivity(step, node.PruneSecrets, in), func(f workflow.Future) error {
			if err := f.Get(g.ctx, nil); err != nil {
				workflow.GetLogger(g.ctx).Warn("stale secrets are not removed", "on", name, "error", err)
			}
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
}

// secretFault is the fault of a plan that cannot be made because of a secret; nil for any
// other error.
func secretFault(err error) *fault.Error {
	var unset *plan.UnsetSecretError
	if errors.As(err, &unset) {
		f := fault.Translate(fault.Invalid, unset).
			WithHint("set it: mcp secret set %s/%s. One that was made with podman cannot be read, and so be no part of a value", unset.Service, unset.Secret)
		f.Component = unset.Component
		return f
	}
	var size *plan.SealedSizeError
	if errors.As(err, &size) {
		return fault.Translate(fault.Invalid, size).
			WithHint("have a component name only the secrets that it needs, or keep what is large in a volume, encrypted with a key that is a secret")
	}
	var sealed *plan.SealedError
	if !errors.As(err, &sealed) {
		return nil
	}
	f := fault.Translate(fault.Unauthorized, sealed)
	switch {
	case sealed.Gone:
		f.Kind = fault.NotFound
		f = f.WithHint("set the value again, and deploy: mcp secret set %s/%s", sealed.Service, sealed.Secret)
	case sealed.Hint != "":
		f = f.WithHint("%s", sealed.Hint)
	case sealed.Refused == "":
		f = f.WithHint("%s", secrets.SealAgain(secrets.Ref{Service: sealed.Service, Name: sealed.Secret, Version: sealed.Version}))
	}
	f.Component, f.Node = sealed.Component, sealed.Node
	return f
}
