package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/versions"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// sparePorts are the free ports that a survey asks for beyond those needed, because
// some may be taken before they are used; morePorts those after some were. Finding one
// takes a node a tenth of a millisecond, and more when it is busy.
const (
	sparePorts = 4
	morePorts  = 64
)

// renumberings is how often a deployment gets another number. Nodes whose
// answers are true make one necessary.
const renumberings = 2

// survey surveys the nodes, side by side and beside the image registry. The first
// answer that makes the deploy impossible ends it: an image that cannot be built
// need not wait for a node that is slow to fail, nor the other way round. A deployment
// that gets another number surveys the nodes again: they must have seen that one
// before their answers count.
func (d *deploy) survey(ctx workflow.Context, surveys *call.Group) error {
	d.log("Surveying the nodes and the image registry")
	for try := range 1 + renumberings {
		d.ahead = 0
		d.surveyNodes(surveys)
		if err := surveys.Wait(ctx); err != nil {
			return err
		}
		if d.number == 0 || d.ahead < d.number || try == renumberings {
			break
		}
		if err := d.renumber(ctx); err != nil {
			return err
		}
		surveys = call.NewGroup(ctx)
	}
	return nil
}

// renumber gives the deployment a number past those that the nodes have seen,
// if the registry has lost deployments: the nodes would refuse it as an old one.
func (d *deploy) renumber(ctx workflow.Context) error {
	step := call.ControlStep(ctx, "renumber the deployment", d.left(ctx))
	err := workflow.ExecuteActivity(step, control.Renumber, fleet.RenumberRequest{
		Service: d.desired.Name, RunID: d.runID, Floor: d.ahead,
	}).Get(ctx, &d.number)
	d.result.Deployment = d.number
	return err
}

// surveyNodes surveys the nodes. One that the definition names must answer; one
// that only holds what is to be removed need not, whatever keeps it from that.
func (d *deploy) surveyNodes(g *call.Group) {
	required, optional := d.nodesOf(d.release)
	for _, name := range required {
		d.surveyNode(g, name, d.left(g.Context()), func(err error) error { return call.NodeFault(err, name) })
	}
	timeout := 2 * call.NodeTimeout
	if d.verb.removes { // its work is on those nodes alone
		timeout = min(undoTimeout, d.left(g.Context()))
	}
	for _, name := range optional {
		d.surveyNode(g, name, timeout, func(err error) error {
			if call.IsCancelled(err) {
				return err
			}
			if f := attempt.FaultOf(err); f.Kind != fault.Unavailable {
				d.silent[name] = f.Message
			}
			return nil
		})
	}
}

// nodesOf are the nodes to survey: those of the steps must answer, too.
func (d *deploy) nodesOf(release fleet.Release) (required, optional []string) {
	required, optional = plan.NodesOf(d.desired, release)
	for _, step := range d.steps() {
		name := d.desired.StepComponent(step).Node
		if slices.Contains(required, name) {
			continue
		}
		required = append(required, name)
		slices.Sort(required)
		optional = slices.DeleteFunc(optional, func(other string) bool { return other == name })
	}
	return required, optional
}

// surveyNode surveys one node; failed decides what a failure means.
func (d *deploy) surveyNode(g *call.Group, name string, left time.Duration, failed func(error) error) {
	d.nodes[name] = plan.Node{}
	g.Go(func(ctx workflow.Context) error {
		found, err := call.AskNode(ctx, name, "survey "+name, left, node.Survey, d.surveyInput(name, sparePorts))
		if err != nil {
			return failed(call.TimeoutFault(err, "survey "+name))
		}
		found = found.Checked()
		d.nodes[name] = plan.Node{Reachable: true, Containers: found.Containers, MissingSecrets: found.MissingSecrets, UnknownKeys: found.UnknownKeys, Lacks: lacksOf(found),
			Policy: found.Policy, Forbidden: found.Forbidden,
			Refuses: found.Refuses, RefusesHint: found.RefusesHint}
		d.answered[name] = found.Address
		d.ports[name], d.present[name] = found.FreePorts, found.Images
		if fleet.Credible(found.Ahead, d.number) {
			d.ahead = max(d.ahead, found.Ahead)
		}
		return nil
	})
}

// lacksOf returns what a node's engine lacks, as the plan needs it.
func lacksOf(found onnode.SurveyResult) map[string][]plan.Lack {
	lacks := map[string][]plan.Lack{}
	for _, component := range workflow.DeterministicKeys(found.Lacks) {
		for _, lack := range found.Lacks[component] {
			lacks[component] = append(lacks[component], plan.Lack{Key: lack.Key, Reason: lack.Reason, Hint: lack.Hint})
		}
	}
	return lacks
}

// touched are the nodes that may have something of the service: those that have
// answered, and those that had something before. A node that never answered was never
// touched.
func (d *deploy) touched() []string {
	required, optional := d.nodesOf(d.release)
	_, before := plan.NodesOf(servicedef.Service{}, d.release)
	nodes := append([]string{}, optional...)
	for _, name := range required {
		if _, answered := d.answered[name]; answered || slices.Contains(before, name) {
			nodes = append(nodes, name)
		}
	}
	return nodes
}

// surveyInput asks a node for what the deploy has to know about it, with so many spare
// ports if the deploy allocates any there.
func (d *deploy) surveyInput(name string, spare int) onnode.SurveyInput {
	in := surveyInput(d.desired, d.number, d.runID, name, d.release.AdoptedOn(name))
	in.Images = d.imagesOn(name)
	routes := 0
	var sealed []servicedef.Component
	for _, c := range d.desired.Components {
		if c.Node == name {
			routes += len(c.Routes)
			in.Secrets, sealed = append(in.Secrets, engineSecrets(c)...), append(sealed, c)
			in.Keys = append(in.Keys, c.Keys()...)
			in.Judged = append(in.Judged, policy.Relevant(c))
			if wanted, some := c.Demands(); some {
				in.Wanted = append(in.Wanted, wanted)
			}
		}
	}
	for _, step := range d.steps() {
		if c := d.desired.StepComponent(step); c.Node == name {
			in.Secrets, sealed = append(in.Secrets, engineSecrets(c)...), append(sealed, c)
			in.Keys = append(in.Keys, append(c.Keys(), servicedef.KeySteps)...)
			in.Judged = append(in.Judged, policy.Relevant(c))
			if wanted, some := c.Demands(); some {
				in.Wanted = append(in.Wanted, wanted)
			}
		}
	}
	in.Signers = versions.Signers(d.release, sealed)
	slices.Sort(in.Keys)
	in.Keys = slices.Compact(in.Keys)
	if routes > 0 && d.number > 0 {
		in.Ports = 2*routes + spare
	}
	return in
}

// surveyInput asks a node for the containers of a service, and for those that have a
// name that the definition needs.
func surveyInput(definition servicedef.Service, number int, run, name string, adopted []fleet.Adopted) onnode.SurveyInput {
	in := onnode.SurveyInput{Service: definition.Name, Deployment: number, Run: run, Adopted: adopted}
	for _, c := range definition.Components {
		if c.Node == name {
			container := servicedef.ContainerNameFor(definition.Name, c.Name)
			in.Names = append(in.Names, container, container+fleet.NextSuffix, container+fleet.PrevSuffix)
		}
	}
	return in
}
