package inspect

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// Commands returns the verbs.
func Commands(s *session.Session) []*cobra.Command {
	return []*cobra.Command{
		newPlan(s), newStatus(s), newPs(s), newHistory(s), newEvents(s), newAudit(s), newLogs(s), newOpen(s),
	}
}

// Results returns the types of what each verb prints with --json, the usual one
// first.
func Results() map[string][]any {
	return map[string][]any{
		"plan":    {workflows.PlanResult{}},
		"status":  {[]serviceStatus{}},
		"ps":      {[]process{}},
		"history": {reads.HistoryResult{}, pastDeployment{}},
		"events":  {[]fleet.Event{}, fleet.Event{}},
		"audit":   {[]fleet.AuditRecord{}},
		"logs":    {logLine{}, accessLine{}},
		"open":    {opened{}},
	}
}

// Completers returns the completions of the arguments of these verbs.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"N": completeDeployment}
}

// completeDeployment finds the deployments of the service that the first argument
// names, newest first.
func completeDeployment(ctx context.Context, s *session.Session, cfg *config.Config, before []string, _ string) []cobra.Completion {
	if len(before) == 0 {
		return nil
	}
	return s.CompleteDeployment(ctx, cfg, before[0], func(session.PastDeployment) bool { return true })
}
