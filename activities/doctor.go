package activities

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// ControlDiagnosis is what a control worker says of itself.
type ControlDiagnosis struct {
	// MCP is its version.
	MCP string `json:"mcp"`
	// Postgres is why the registry cannot be read; nil if it can be.
	Postgres *fault.Error `json:"postgres,omitempty"`
	// Schema is the version of the registry's tables, and NeedsSchema the one
	// that this mcp needs.
	Schema      int               `json:"schema,omitempty"`
	NeedsSchema int               `json:"needs_schema,omitempty"`
	Nodes       []fleet.NodeState `json:"nodes,omitempty"`
}

// registryPatience is how long Postgres may take to answer who asks how it is.
const registryPatience = 4 * time.Second

// DiagnoseControl asks a control worker how it is.
func (a *Control) DiagnoseControl(ctx context.Context) (ControlDiagnosis, error) {
	found := ControlDiagnosis{MCP: a.Version}
	limited, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	var err error
	found.Schema, found.NeedsSchema, err = a.Registry.Schema(limited)
	if err == nil {
		found.Nodes, err = a.Registry.NodeStates(limited)
	}
	if limited.Err() != nil {
		err = fault.New(fault.Unavailable, "Postgres has not answered in %s", registryPatience)
	}
	if err != nil {
		found.Postgres = fault.Of(err)
	}
	return found, ctx.Err()
}

// NodeDiagnosis is what a node's worker says of itself.
type NodeDiagnosis struct {
	// MCP is its version, and Runtime that of its engine.
	MCP     string `json:"mcp"`
	Runtime string `json:"runtime,omitempty"`
	// Engine is why that does not answer; nil if it does.
	Engine *fault.Error `json:"engine,omitempty"`
}

// DiagnoseNode asks a node's worker how it is.
func (a *Node) DiagnoseNode(ctx context.Context) (NodeDiagnosis, error) {
	version, err := a.Runtime.Version(ctx)
	if err != nil {
		return NodeDiagnosis{MCP: a.Version, Engine: fault.Of(a.placed(err, ""))}, nil
	}
	return NodeDiagnosis{MCP: a.Version, Runtime: version}, nil
}
