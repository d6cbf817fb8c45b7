package identity

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/identity"
)

// Completers returns the completion of roles and grants.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"ROLE": oneOf(identity.Roles()), "--grant": oneOf(identity.Grants())}
}

func oneOf[T ~string](words []T) session.Completer {
	return func(context.Context, *session.Session, *config.Config, []string, string) []cobra.Completion {
		list := make([]cobra.Completion, len(words))
		for i, w := range words {
			list[i] = cobra.Completion(w)
		}
		return list
	}
}
