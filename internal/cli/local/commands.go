package local

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/workers"
)

// Commands returns the verbs.
func Commands(s *session.Session) []*cobra.Command {
	return []*cobra.Command{newDoctor(s), newWorker(s), newDev(s), newMigrate(s), newConfig(s), newGateway(s)}
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"doctor":      {[]finding{}},
		"dev":         {dev.Info{}},
		"dev down":    {ended{}},
		"dev trust":   {trusted{}},
		"migrate":     {workers.Migrated{}},
		"config show": {shownConfig{}},
	}
}
