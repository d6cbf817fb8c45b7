package reach

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

// Commands returns the verbs.
func Commands(s *session.Session) []*cobra.Command {
	return []*cobra.Command{newExec(s), newCopy(s), newForward(s)}
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{"exec": {executed{}}, "cp": {copied{}}, "port-forward": {forwarded{}}}
}
