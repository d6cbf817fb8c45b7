package reads

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/workflows/call"
)

// NodeStates reads the nodes, each with its last observation.
func NodeStates(ctx workflow.Context) ([]fleet.NodeState, error) {
	states, err := call.ControlQuery(ctx, "list nodes", call.ReadTimeout, control.ListNodeStates)
	if err != nil {
		return nil, call.Failure(err)
	}
	return states, nil
}

// NodeHistoryInput names a node, and how far back to read.
type NodeHistoryInput struct {
	Node  string        `json:"node"`
	Since time.Duration `json:"since"`
}

// NodeHistory reads the recorded status of a node over time.
func NodeHistory(ctx workflow.Context, in NodeHistoryInput) (*fleet.NodeHistory, error) {
	asked := oncontrol.LoadNodeHistoryInput{Node: in.Node, From: workflow.Now(ctx).Add(-in.Since)} // observations have the same clock
	history, err := call.Control(ctx, "read the history of "+in.Node, call.ReadTimeout, control.LoadNodeHistory, asked)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &history, nil
}

// NodePolicy asks a node for its policy.
func NodePolicy(ctx workflow.Context, name string) (*policy.Policy, error) {
	var found policy.Policy
	err := workflow.ExecuteActivity(call.ReadStep(ctx, name, "read the policy of "+name), node.GetPolicy).Get(ctx, &found)
	if err != nil {
		return nil, call.Failure(call.NodeFault(err, name))
	}
	found = found.Checked()
	return &found, nil
}
