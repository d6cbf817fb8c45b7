package workflows

import (
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/selection"
	"github.com/metacircular/mcp/internal/plan/versions"
	"github.com/metacircular/mcp/servicedef"
)

// verb is a row of the table: all that distinguishes the deployments of one verb
// from those of another.
type verb struct {
	word fleet.Verb
	// participle is what has become of the service afterwards.
	participle string
	// given is set if the input's definition is the operator's, to be recorded
	// as the one that was given last.
	given bool
	// reads is set if the input names only the service: the release is read
	// before the deployment is opened. A deploy of some components reads it too.
	reads bool
	// define returns what to bring the service to, from what was asked and, if that is read,
	// the release.
	define func(asked target, release fleet.Release) (target, error)
	// digests is the source of the digests by which new containers run.
	digests digestSource
	// renews is set if the chosen components, and the steps, get the newest versions of
	// the service's own secrets; the others have those of the definition.
	renews bool
	// replaces is set if containers that have not changed are replaced, too.
	replaces bool
	// runs reports whether the deployment runs a step of the definition; nil for none.
	runs func(servicedef.Step) bool
	// adopts is set if the deployment takes over running containers instead of
	// following a plan.
	adopts bool
	// removes is set if the service's containers go without successors.
	removes bool
	// repeats is set if a rollback passes over the release, which has nothing
	// that the one before it did not have.
	repeats bool
	// restores is set if the release itself is deployed again, as it was let run: the
	// policies of nodes do not refuse it.
	restores bool
	// alias is the verb whose deployments ask for the same; "" for the verb's own.
	alias fleet.Verb
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
	{word: fleet.VerbDeploy, participle: "deployed", given: true, define: merged, digests: fromRegistry, renews: true, runs: everyStep},
	{word: fleet.VerbRollback, participle: "deployed", define: merged, digests: fromInput, runs: rollbackStep},
	{word: fleet.VerbReconcile, participle: "deployed", define: merged, digests: fromInput, repeats: true, restores: true, alias: fleet.VerbRollback},
	{word: fleet.VerbUndeploy, participle: "undeployed", reads: true, define: withdrawn, digests: fromNowhere, removes: true, repeats: true},
	{word: fleet.VerbAdopt, participle: "adopted", given: true, define: merged, digests: fromNowhere, adopts: true},
	{word: fleet.VerbStop, participle: "stopped", reads: true, define: stopped, digests: fromRelease, repeats: true},
	{word: fleet.VerbStart, participle: "started", reads: true, define: started, digests: fromRelease, repeats: true},
	{word: fleet.VerbRestart, participle: "restarted", reads: true, define: restarted, digests: fromRelease, replaces: true, repeats: true},
	{word: fleet.VerbRotate, participle: "rotated", reads: true, define: rotated, digests: fromRelease},
}

func everyStep(servicedef.Step) bool { return true }

func rollbackStep(step servicedef.Step) bool { return step.Rollback }

// rowOf finds a verb's row.
func rowOf(v fleet.Verb) (verb, error) {
	i := slices.IndexFunc(verbs, func(row verb) bool { return row.word == v })
	if i < 0 {
		return verb{word: v}, fault.New(fault.Invalid, "unknown verb %q", string(v))
	}
	return verbs[i], nil
}

// Repeats reports whether a rollback passes over a verb's releases.
func Repeats(v fleet.Verb) bool {
	row, _ := rowOf(v) // of an unknown verb nothing is assumed
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

// merged is the definition that was asked for; if only some components were asked for,
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
		return asked, selection.NeverDeployed(release.Service)
	}
	asked.definition = plan.Undeployed(release)
	return asked, nil
}

// stopped is the release, inactive.
func stopped(asked target, release fleet.Release) (target, error) {
	if err := selection.Require(release, string(fleet.VerbStop), asked.only); err != nil {
		return asked, err
	}
	asked.definition = *release.Definition
	asked.definition.Active = false
	return asked, nil
}

// started is the release, active.
func started(asked target, release fleet.Release) (target, error) {
	if err := selection.Require(release, string(fleet.VerbStart), asked.only); err != nil {
		return asked, err
	}
	asked.definition = *release.Definition
	asked.definition.Active = true
	return deployedOnly(asked, release), nil
}

// restarted is the release, unless it is stopped.
func restarted(asked target, release fleet.Release) (target, error) {
	if err := selection.Require(release, string(fleet.VerbRestart), asked.only); err != nil {
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
		asked.only = append(release.MemberNames(), release.JobNames()...)
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
	asked.definition, asked.only = versions.Rotated(release, asked.secret)
	if len(asked.only) == 0 {
		return asked, fault.New(fault.NotFound, "nothing in release %d of %s has the secret %s", release.Number, release.Service, asked.secret).
			WithHint("set it, and deploy what uses it: mcp secret set %s/%s --deploy", release.Service, asked.secret)
	}
	return asked, nil
}
