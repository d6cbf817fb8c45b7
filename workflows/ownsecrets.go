package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/plan/versions"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// chooseSecrets finds the versions of the service's own secrets that new containers get.
func (d *deploy) chooseSecrets() {
	if !d.verb.renews {
		return
	}
	chosen := func(component string) bool { return len(d.only) == 0 || slices.Contains(d.only, component) }
	d.desired = versions.Newest(d.desired, d.release, chosen)
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

// requireBuildSecrets fails if a build needs one of the service's own secrets that is
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

// pruneSecrets removes from the nodes the secrets that no release needs any more, once the
// predecessors are gone. After an undeploy none is needed: a rollback brings its secrets
// again. What fails is left to the next release.
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
	g := call.NewGroup(ctx)
	for _, name := range workflow.DeterministicKeys(d.nodes) {
		if !d.reachable(name) {
			continue
		}
		step := call.PruneStep(g.Context(), activities.QueueNode(name), "prune secrets on "+name)
		g.Add(workflow.ExecuteActivity(step, node.PruneSecrets, in), func(f workflow.Future) error {
			if err := f.Get(g.Context(), nil); err != nil {
				workflow.GetLogger(g.Context()).Warn("stale secrets are not removed", "on", name, "error", err)
			}
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
}
