package oncontrol

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// ControlDiagnosis is the state of a control worker.
type ControlDiagnosis struct {
	// MCP is its version.
	MCP string `json:"mcp"`
	// Postgres is why the registry cannot be read; nil if it can be.
	Postgres *fault.Error `json:"postgres,omitempty"`
	// Schema is the version of the registry's tables, and NeedsSchema the one
	// that this mcp needs.
	Schema      int `json:"schema,omitempty"`
	NeedsSchema int `json:"needs_schema,omitempty"`
	// Tables names the registry's tables that are gone; nil if all are there.
	Tables *fault.Error      `json:"tables,omitempty"`
	Nodes  []fleet.NodeState `json:"nodes,omitempty"`
}

// registryTimeout bounds how long Postgres may take to answer a diagnosis.
const registryTimeout = 4 * time.Second

// DiagnoseControl diagnoses a control worker.
func (a *Control) DiagnoseControl(ctx context.Context) (ControlDiagnosis, error) {
	found := ControlDiagnosis{MCP: a.Version}
	limited, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	var err error
	found.Schema, found.NeedsSchema, err = a.Registry.Schema(limited)
	switch tables := a.Registry.CheckTables(limited); {
	case fault.Is(tables, fault.NotFound):
		found.Tables, err = fault.Of(tables), nil
	case err == nil && tables == nil:
		found.Nodes, err = a.ListNodeStates(limited)
	}
	if limited.Err() != nil {
		err = fault.New(fault.Unavailable, "Postgres has not answered in %s", registryTimeout)
	}
	if err != nil {
		found.Postgres = fault.Of(err)
	}
	return found, ctx.Err()
}
