package workflows

import (
	"cmp"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/adoption"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// deploy is the state of one Deploy.
type deploy struct {
	in   DeployInput // never changed
	verb verb
	// desired is the definition that the service is brought to, only the
	// components of it to deploy; empty means all.
	desired  servicedef.Service
	only     []string
	deadline time.Time
	started  time.Time
	log      func(phase string)

	number int
	// runID identifies the deployment together with its number, also after a reset of
	// the workflow.
	runID   string
	ahead   int // the newest number of another deployment that keeps this one out
	release fleet.Release
	nodes   map[string]plan.Node
	// answered are the nodes that have answered the survey, each with the address where
	// it publishes routes; silent are those that need not and have failed to, with the
	// reasons.
	answered map[string]string
	silent   map[string]string
	ports    map[string][]int  // free ports by node
	digests  map[string]string // by image reference; "" while it is missing
	built    bool              // an image, of a component or of a step
	// present are the images that nodes have, by digest, of those given by digest.
	present map[string][]string
	// holders are those of the endpoints that the definition names, if it is only planned.
	holders []fleet.EndpointHolder
	plan    plan.Plan
	planned *PlanResult // the plan as clients read it; nil before it is made
	// adoption is what an adopt has found.
	adoption adoption.Adoption

	// held are the components for which edges keep requests waiting, and interim is set
	// while they may serve something other than the release. away are the edges that have
	// not answered a step of this deploy.
	held    []string
	interim bool
	away    []string

	undo undo
	// routes are the ports that were allocated for new containers, by component.
	routes map[string][]fleet.Route
	// stops are the containers that are stopped for others to start, by node and
	// name: each is stopped once.
	stops   map[string]map[string]workflow.Future
	members map[string]fleet.Member // those with new containers, by component
	result  *Result
	// ran are the results of the steps that ran the new containers, by component.
	ran map[string]onnode.RunContainerResult
	// reviving is held while containers are run again that a boot has ended.
	reviving workflow.Mutex
	// forward is set when the cut-over begins: from then on a cancel has no effect.
	// renamed is set once a node has renamed containers, or may have.
	forward, renamed bool
	// committed is set once the deployment is the release: it has succeeded.
	// stale are the images that are not needed any more from then on.
	committed bool
	released  time.Time // when it was committed, and published
	stale     fleet.CommitResult
	// notRetired are the nodes where predecessors remain.
	notRetired []fleet.NotRetired
	// failedSteps are those because of which the deploy has failed.
	failedSteps []fleet.FailedStep
	// restPorts is set if the outcome releases the ports that the release does
	// not use.
	restPorts bool
}

func newDeploy(ctx workflow.Context, in DeployInput) (*deploy, error) {
	row, err := rowOf(in.Verb)
	info := workflow.GetInfo(ctx)
	return &deploy{
		in:       in,
		verb:     row,
		desired:  in.Definition,
		only:     in.Only,
		started:  workflow.Now(ctx),
		deadline: workflow.Now(ctx).Add(in.Timeout()),
		log:      func(phase string) { workflow.SetCurrentDetails(ctx, phase) },
		nodes:    map[string]plan.Node{},
		answered: map[string]string{},
		silent:   map[string]string{},
		ports:    map[string][]int{},
		digests:  map[string]string{},
		present:  map[string][]string{},
		routes:   map[string][]fleet.Route{},
		stops:    map[string]map[string]workflow.Future{},
		members:  map[string]fleet.Member{},
		ran:      map[string]onnode.RunContainerResult{},
		reviving: workflow.NewMutex(ctx),
		runID:    cmp.Or(info.OriginalRunID, info.WorkflowExecution.RunID),
		result: &Result{
			Service:    in.Definition.Name,
			WorkflowID: info.WorkflowExecution.ID,
			RunID:      info.WorkflowExecution.RunID,
			Components: []ComponentResult{},
		},
	}, err
}

// define finds what the verb brings the service to.
func (d *deploy) define(release fleet.Release) error {
	made, err := d.verb.define(target{d.in.Definition, d.in.Only, d.in.Secret}, release)
	if err != nil {
		return err
	}
	d.desired, d.only = made.definition, made.only
	return nil
}

// given is the definition that the operator gave; nil if the verb starts from another.
func (d *deploy) given() *servicedef.Service {
	if !d.verb.given {
		return nil
	}
	return &d.in.Definition
}

// left is the time until the deadline, at least a second.
func (d *deploy) left(ctx workflow.Context) time.Duration { return call.Until(ctx, d.deadline) }

// reachable reports whether the node answered the survey.
func (d *deploy) reachable(name string) bool { return d.nodes[name].Reachable }

// steps are those that the deploy runs if it does anything. A deploy of some components
// runs those that are like one of them.
func (d *deploy) steps() []servicedef.Step {
	if d.verb.runs == nil || !d.desired.Active {
		return nil
	}
	var run []servicedef.Step
	for _, step := range d.desired.Steps {
		if d.verb.runs(step) && (len(d.only) == 0 || slices.Contains(d.only, step.Component)) {
			run = append(run, step)
		}
	}
	return run
}

// component is the definition of a step's component.
func (d *deploy) component(step plan.Step) servicedef.Component {
	c, _ := d.desired.Component(step.Component)
	return c
}

// outcome is the result of the component with that name, to be filled in.
func (d *deploy) outcome(component string) *ComponentResult {
	i := slices.IndexFunc(d.result.Components, func(c ComponentResult) bool { return c.Name == component })
	return &d.result.Components[i]
}

// digest is the one by which a component's new container runs.
func (d *deploy) digest(c servicedef.Component) string {
	if d.verb.digests == fromRelease {
		if c.IsJob() {
			return d.release.Jobs[c.Name].Digest
		}
		return d.release.Components[c.Name].Digest
	}
	return d.digests[c.Image]
}

// longestStop bounds how long a container may take to stop: the longest stop timeout
// of this definition or the last.
func (d *deploy) longestStop() time.Duration {
	longest := 10 * time.Second
	for _, c := range d.desired.Components {
		longest = max(longest, time.Duration(c.StopTimeout))
	}
	if d.release.Definition != nil {
		for _, c := range d.release.Definition.Components {
			longest = max(longest, time.Duration(c.StopTimeout))
		}
	}
	return longest
}
