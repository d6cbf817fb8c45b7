package onnode

import (
	"context"

	"github.com/metacircular/mcp/internal/fault"
)

// NodeDiagnosis is the state of a node's worker.
type NodeDiagnosis struct {
	// MCP is its version, and Runtime that of its engine.
	MCP     string `json:"mcp"`
	Runtime string `json:"runtime,omitempty"`
	// Engine is why the engine does not answer; nil if it does.
	Engine *fault.Error `json:"engine,omitempty"`
	// Policy is why the policy of the node cannot be used; "" if it can.
	Policy string `json:"policy,omitempty"`
}

// DiagnoseNode diagnoses a node's worker.
func (a *Node) DiagnoseNode(ctx context.Context) (NodeDiagnosis, error) {
	found := NodeDiagnosis{MCP: a.Version}
	if a.Policies != nil {
		found.Policy = a.Policies.Policy().Problem
	}
	version, err := askEngine(ctx, a, a.Runtime.Version)
	if err != nil {
		found.Engine = fault.Of(a.placed(err, ""))
		return found, nil
	}
	found.Runtime = version
	return found, nil
}
