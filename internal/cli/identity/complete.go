package identity

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// Completers returns the completion of roles, grants and the names of identities.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"ROLE": oneOf(identity.Roles()), "--grant": oneOf(identity.Grants()), "NAME": names}
}

// names finds the names of the identities of the role before it, each with its state
// beside it. The gateway lists them for operators.
func names(ctx context.Context, s *session.Session, cfg *config.Config, before []string, _ string) []cobra.Completion {
	if len(before) != 1 || !identity.Role(before[0]).Exists() || !cfg.Door.Enabled() {
		return nil
	}
	found := session.Remembered(ctx, s, cfg, "identities", false, func(ctx context.Context) (map[string]string, error) {
		answer, err := enrol.Ask(ctx, cfg.Door.Addresses, cfg.Door.Directory(), enrol.Request{List: true})
		return states(answer.Identities, time.Now()), err
	})
	var list []cobra.Completion
	for _, who := range slices.Sorted(maps.Keys(found)) {
		if name, ok := strings.CutPrefix(who, before[0]+"/"); ok {
			list = append(list, cobra.CompletionWithDesc(name, found[who]))
		}
	}
	return list
}

// states returns the states of identities that are not revoked, by role and name. If one
// is invited again, the one that has joined counts.
func states(records []identity.Record, now time.Time) map[string]string {
	live := map[string]string{}
	for _, r := range records {
		state := r.State(now)
		if state != identity.Revoked && live[r.String()] != identity.Active {
			live[r.String()] = state
		}
	}
	return live
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
