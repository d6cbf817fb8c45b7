package reads

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/call"
)

// DoctorInput names what to diagnose besides the recorded nodes.
type DoctorInput struct {
	// Nodes are those that definitions name.
	Nodes []string `json:"nodes,omitempty"`
	// Images is one of each image registry.
	Images []string `json:"images,omitempty"`
}

// DoctorResult is what was found.
type DoctorResult struct {
	Control oncontrol.ControlDiagnosis `json:"control"`
	Nodes   map[string]DiagnosedNode   `json:"nodes"`
	// Images are the answers of image registries, by the image that each was asked
	// for.
	Images map[string]DiagnosedImage `json:"images"`
	// At is the time of the diagnosis, by the clock of observations and events.
	At time.Time `json:"at"`
}

// DiagnosedImage is the answer of an image registry.
type DiagnosedImage struct {
	// Exists reports whether it has the image.
	Exists bool `json:"exists"`
	// Error is why it did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// DiagnosedNode is the answer of a node's worker.
type DiagnosedNode struct {
	onnode.NodeDiagnosis
	// Error is why the worker did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// Doctor diagnoses the control worker, the nodes and image registries, side by side.
func Doctor(ctx workflow.Context, in DoctorInput) (*DoctorResult, error) {
	result := &DoctorResult{Nodes: map[string]DiagnosedNode{}, Images: map[string]DiagnosedImage{}, At: workflow.Now(ctx)}
	g := call.NewGroup(ctx)
	for _, image := range in.Images {
		step := call.ControlStep(g.Context(), "look for "+image, call.ReadTimeout)
		g.Add(workflow.ExecuteActivity(step, control.ImageExists, oncontrol.ImageExistsInput{Image: image}), func(f workflow.Future) error {
			var found oncontrol.ImageExistsResult
			err := call.TimeoutFault(f.Get(ctx, &found), "look up image "+image)
			result.Images[image] = DiagnosedImage{Exists: found.Exists, Error: attempt.FaultOf(err)}
			return nil
		})
	}
	g.Go(func(ctx workflow.Context) error {
		step := call.ControlStep(ctx, "ask the control worker", call.ReadTimeout)
		if err := workflow.ExecuteActivity(step, control.DiagnoseControl).Get(ctx, &result.Control); err != nil {
			return call.Failure(err)
		}
		names := slices.Clone(in.Nodes)
		for _, n := range result.Control.Nodes {
			names = append(names, n.Name)
		}
		slices.Sort(names)
		diagnoseNodes(ctx, slices.Compact(names), result.Nodes)
		return nil
	})
	if err := g.Wait(ctx); err != nil {
		return nil, err
	}
	return result, nil
}

// diagnoseNodes asks the workers of nodes for a diagnosis.
func diagnoseNodes(ctx workflow.Context, names []string, into map[string]DiagnosedNode) {
	g := call.NewGroup(ctx)
	for _, name := range names {
		step := call.ReadStep(g.Context(), name, "ask the worker of "+name)
		g.Add(workflow.ExecuteActivity(step, node.DiagnoseNode), func(f workflow.Future) error {
			var found DiagnosedNode
			found.Error = attempt.FaultOf(call.NodeFault(f.Get(ctx, &found.NodeDiagnosis), name))
			into[name] = found
			return nil
		})
	}
	_ = g.Wait(ctx) // its handlers return no error
}
