package cli

import (
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// failure is what --json prints where there is no result.
type failure struct {
	Error *fault.Error `json:"error"`
}

// detachedResult is what --json prints where a deploy or a build goes on without
// its command.
type detachedResult struct {
	Service    string `json:"service"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Outcome is "running".
	Outcome workflows.Outcome `json:"outcome"`
}

// Results are the types of what each verb prints with --json, the usual one
// first; docs/schemas is made of them. What is missing prints nothing.
func Results() map[string][]any {
	deployed := []any{workflows.Result{}, detachedResult{}, failure{}}
	results := map[string][]any{
		"deploy":   {workflows.Result{}, []workflows.Result{}, detachedResult{}, failure{}},
		"rollback": deployed, "undeploy": deployed, "cancel": deployed,
		"stop": deployed, "start": deployed, "restart": deployed,
		"purge":   {workflows.Result{}, fleet.Forgotten{}, detachedResult{}, failure{}},
		"adopt":   {workflows.Result{}, plan.Adoption{}, detachedResult{}, failure{}},
		"build":   {workflows.BuildResult{}, detachedResult{}, failure{}},
		"events":  {[]fleet.Event{}, fleet.Event{}, failure{}},
		"history": {workflows.HistoryResult{}, fleet.DeploymentRecord{}, failure{}},
	}
	for verb, result := range map[string]any{
		"plan": workflows.PlanResult{}, "sync": []synced{}, "status": []serviceStatus{}, "ps": []process{},
		"node list": []listedNode{}, "node status": []nodeStatus{}, "node show": shownNode{},
		"node drain": drained{}, "node activate": drained{}, "node remove": removed{},
		"service check": []checked{}, "service list": []listedService{}, "service show": servicedef.Service{},
		"service new": written{}, "service edit": edited{}, "config show": shownConfig{},
		"logs": logLine{}, "exec": executed{}, "doctor": []finding{}, "open": opened{},
		"migrate": migrated{}, "version": thisVersion{},
		"dev": dev.Info{}, "dev down": ended{},
	} {
		results[verb] = []any{result, failure{}}
	}
	return results
}
