package secret

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/reads"
)

// Completers returns the completion of secrets: those that the registry has.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"SERVICE/NAME": complete}
}

func complete(ctx context.Context, s *session.Session, cfg *config.Config, before []string, _ string) []cobra.Completion {
	if len(before) > 0 {
		return nil
	}
	return session.Remembered(ctx, s, cfg, "secrets", false, func(ctx context.Context) ([]cobra.Completion, error) {
		found, err := pages(func(after secrets.Ref) (page reads.SecretsResult, err error) {
			err = s.Peek(ctx, cfg, reads.SecretsName, reads.SecretsInput{Page: true, After: after}, &page)
			return page, err
		})
		var list []cobra.Completion
		for _, secret := range found.Secrets {
			list = append(list, secret.Service+"/"+secret.Name)
		}
		return list, err
	})
}
