package workflows

import (
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// Verb is the word for a kind of deployment. The registry records it, and
// metrics are labelled with it.
type Verb string

// The verbs: one for each row of the table.
const (
	// VerbDeploy brings a service to its definition.
	VerbDeploy Verb = "deploy"
	// VerbRollback deploys a former release again, by its digests.
	VerbRollback Verb = "rollback"
	// VerbReconcile is the monitor's rollback to the release itself.
	VerbReconcile Verb = "reconcile"
	// VerbUndeploy removes a service's components. Its release has nothing to go
	// back to.
	VerbUndeploy Verb = "undeploy"
	// VerbAdopt takes over containers that mcp has not started, and touches none.
	VerbAdopt Verb = "adopt"
	// VerbStop stops the release and keeps its containers.
	VerbStop Verb = "stop"
	// VerbStart runs a stopped release again.
	VerbStart Verb = "start"
	// VerbRestart replaces the release's containers by new ones.
	VerbRestart Verb = "restart"
	// VerbRotate gives the release the newest version of one secret.
	VerbRotate Verb = "rotate"
)

// verb is a row of the table: all that distinguishes the deployments of one verb
// from those of another.
type verb struct {
	word Verb
	// participle is what has become of the service afterwards.
	participle string
	// given is set where the input's definition is the operator's, to be recorded
	// as the one that was given last.
	given bool
	// reads is set where the input names only the service: the release is read
	// before the deployment is opened. A deploy of some components reads it too.
	reads bool
	// define returns what to bring the service to, from what was asked and, where
	// that is read, the release.
	define func(asked target, release fleet.Release) (target, error)
	// digests is where the digests come from by which new containers run.
	digests digestSource
	// renews is set where the chosen components, and the steps, get the newest versions of
	// the service's own secrets; the others have those of the definition.
	renews bool
	// replaces is set where containers that have not changed are replaced, too.
	replaces bool
	// runs reports whether the deployment runs a step of the definition; nil for none.
	runs func(servicedef.Step) bool
	// adopts is set where the deployment takes over running containers instead of
	// following a plan.
	adopts bool
	// removes is set where the service's containers go without successors.
	removes bool
	// repeats is set where a rollback passes over the release, which has nothing
	// that the one before it did not have.
	repeats bool
	// restores is set where the release itself is deployed again, as it was let run: the
	// policies of nodes do not refuse it.
	restores bool
	// alias is the verb whose deployments ask for the same; "" for the verb's own.
	alias Verb
}

// target is what a deployment brings a service to.
type target struct {
	definition servicedef.Service
	// only names the components to deploy; empty means all.
	only []string
	// secret is the one to rotate.
	secret string
}

// digestSource is where digests come from.
type digestSource int

const (
	// fromRegistry: the image registry's, by tag. What it lacks is built.
	fromRegistry digestSource = iota
	// fromInput: the input's, as a former release had them. The image registry
	// must have them.
	fromInput
	// fromRelease: the release's. The image registry is not asked.
	fromRelease
	// fromNowhere: no container is started.
	fromNowhere
)

// verbs is the table of verbs.
var verbs = []verb{
	{word: VerbDeploy, participle: "deployed", given: true, define: merged, digests: fromRegistry, renews: true, runs: everyStep},
	{word: VerbRollback, participle: "deployed", define: merged, digests: fromInput, runs: rollbackStep},
	{word: VerbReconcile, participle: "deployed", define: merged, digests: fromInput, repeats: true, restores: true, alias: VerbRollback},
	{word: VerbUndeploy, participle: "undeployed", reads: true, define: withdrawn, digests: fromNowhere, removes: true, repeats: true},
	{word: VerbAdopt, participle: "adopted", given: true, define: merged, digests: fromNowhere, adopts: true},
	{word: VerbStop, participle: "stopped", reads: true, define: stopped, digests: fromRelease, repeats: true},
	{word: VerbStart, participle: "started", reads: true, define: started, digests: fromRelease, repeats: true},
	{word: VerbRestart, participle: "restarted", reads: true, define: restarted, digests: fromRelease, replaces: true, repeats: true},
	{word: VerbRotate, participle: "rotated", reads: true, define: rotated, digests: fromRelease},
}

func everyStep(servicedef.Step) bool { return true }

func rollbackStep(step servicedef.Step) bool { return step.Rollback }

// find finds a verb's row.
func (v Verb) find() (verb, error) {
	i := slices.IndexFunc(verbs, func(row verb) bool { return row.word == v })
	if i < 0 {
		return verb{word: v}, fault.New(fault.Invalid, "unknown verb %q", string(v))
	}
	return verbs[i], nil
}

// Repeats reports whether a rollback passes over the verb's releases.
func (v Verb) Repeats() bool {
	row, _ := v.find() // of an unknown verb nothing is assumed
	return row.repeats
}

// Verbs returns all verbs. Each has its counters before its first deployment, so that
// a rate includes the first one that fails.
func Verbs() []string {
	words := make([]string, 0, len(verbs))
	for _, row := range verbs {
		words = append(words, string(row.word))
	}
	return words
}

// merged is the definition that was asked for; where only some components were,
// the others are the release's.
func merged(asked target, release fleet.Release) (target, error) {
	if release.LostKey != "" && len(asked.only) > 0 {
		return asked, fault.New(fault.Conflict, "the definition of release %d of service %s is lost with encryption key %s: its other components cannot stay as they are", release.Number, release.Service, release.LostKey).
			WithHint("deploy the whole service: mcp deploy %s", release.Service)
	}
	asked.definition = plan.Merge(release.Definition, asked.definition, asked.only)
	return asked, nil
}

// withdrawn is the service without a component.
func withdrawn(asked target, release fleet.Release) (target, error) {
	if release.Newest == 0 {
		return asked, neverDeployed(release.Service)
	}
	asked.definition = plan.Undeployed(release)
	return asked, nil
}

// stopped is the release, inactive.
func stopped(asked target, release fleet.Release) (target, error) {
	if err := requireComponents(release, string(VerbStop), asked.only); err != nil {
		return asked, err
	}
	asked.definition = *release.Definition
	asked.definition.Active = false
	return asked, nil
}

// started is the release, active.
func started(asked target, release fleet.Release) (target, error) {
	if err := requireComponents(release, string(VerbStart), asked.only); err != nil {
		return asked, err
	}
	asked.definition = *release.Definition
	asked.definition.Active = true
	return deployedOnly(asked, release), nil
}

// restarted is the release, unless it is stopped.
func restarted(asked target, release fleet.Release) (target, error) {
	if err := requireComponents(release, string(VerbRestart), asked.only); err != nil {
		return asked, err
	}
	if !release.Active {
		return asked, fault.New(fault.Conflict, "service %s is stopped", release.Service).WithHint("start it: mcp start %s", release.Service)
	}
	asked.definition = *release.Definition
	return deployedOnly(asked, release), nil
}

// deployedOnly leaves out components that the release's definition names and
// that have never been deployed.
func deployedOnly(asked target, release fleet.Release) target {
	deployed := len(release.Components) + len(release.Jobs)
	if asked.definition.Active && len(asked.only) == 0 && deployed != len(release.Definition.Components) {
		asked.only = append(memberNames(release), jobNames(release)...)
	}
	return asked
}

// rotated is the release with the newest version of a secret, unless it is stopped. Only
// the components that have the secret are deployed.
func rotated(asked target, release fleet.Release) (target, error) {
	asked, err := restarted(asked, release)
	if err != nil {
		return asked, err
	}
	asked.definition, asked.only = plan.RotatedSecret(release, asked.secret)
	if len(asked.only) == 0 {
		return asked, fault.New(fault.NotFound, "nothing in release %d of %s has the secret %s", release.Number, release.Service, asked.secret).
			WithHint("set it, and deploy what uses it: mcp secret set %s/%s --deploy", release.Service, asked.secret)
	}
	return asked, nil
}
