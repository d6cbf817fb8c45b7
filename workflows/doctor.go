package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
)

// DoctorInput says what to look at besides what the registry knows.
type DoctorInput struct {
	// Nodes are those that definitions name.
	Nodes []string `json:"nodes,omitempty"`
	// Images is one of each image registry.
	Images []string `json:"images,omitempty"`
}

// DoctorResult is what was found.
type DoctorResult struct {
	Control activities.ControlDiagnosis `json:"control"`
	Nodes   map[string]DiagnosedNode    `json:"nodes"`
	// Images are why an image registry did not answer, by the image that it was
	// asked for; nil if it did.
	Images map[string]*fault.Error `json:"images"`
	// At is when, by the clock that looks and events have.
	At time.Time `json:"at"`
}

// DiagnosedNode is what a node's worker has said.
type DiagnosedNode struct {
	activities.NodeDiagnosis
	// Error is why it did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// Doctor asks everybody how they are, side by side.
func Doctor(ctx workflow.Context, in DoctorInput) (*DoctorResult, error) {
	result := &DoctorResult{Nodes: map[string]DiagnosedNode{}, Images: map[string]*fault.Error{}, At: workflow.Now(ctx)}
	g := newGroup(ctx)
	for _, image := range in.Images {
		g.add(imageExists(g.ctx, image, readDeadline), func(f workflow.Future) error {
			var found activities.ImageExistsResult
			result.Images[image] = activities.FaultOf(unanswered(f.Get(ctx, &found), "look up image "+image))
			return nil
		})
	}
	g.do(func(ctx workflow.Context) error {
		step := controlStep(ctx, "ask the control worker", readDeadline)
		if err := workflow.ExecuteActivity(step, control.DiagnoseControl).Get(ctx, &result.Control); err != nil {
			return readFailure(err)
		}
		names := slices.Clone(in.Nodes)
		for _, n := range result.Control.Nodes {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		diagnoseNodes(ctx, slices.Compact(names), result.Nodes)
		return nil
	})
	if err := g.wait(ctx); err != nil {
		return nil, err
	}
	return result, nil
}

// diagnoseNodes asks the workers of nodes.
func diagnoseNodes(ctx workflow.Context, names []string, into map[string]DiagnosedNode) {
	g := newGroup(ctx)
	for _, name := range names {
		step := readStep(g.ctx, name, "ask the worker of "+name)
		g.add(workflow.ExecuteActivity(step, node.DiagnoseNode), func(f workflow.Future) error {
			var found DiagnosedNode
			found.Error = activities.FaultOf(nodeFault(f.Get(ctx, &found.NodeDiagnosis), name))
			into[name] = found
			return nil
		})
	}
	_ = g.wait(ctx) // its handlers return no error
}
