package secret

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/reads"
)

// recorded reads what is recorded of secrets, for a verb.
func recorded(ctx context.Context, s *session.Session, c client.Client, verb string, in reads.SecretsInput) (reads.SecretsResult, error) {
	return pages(func(after secrets.Ref) (page reads.SecretsResult, err error) {
		in.After = after
		err = s.Read(ctx, c, verb, reads.SecretsName, in, &page)
		return page, err
	})
}

// maxPages bounds the pages of a list of secrets.
const maxPages = 1000

// pages asks for all pages of a list of secrets, each after the last version of the one
// before, and puts the versions of each secret together. An answer that makes no progress is
// an error.
func pages(ask func(after secrets.Ref) (reads.SecretsResult, error)) (all reads.SecretsResult, err error) {
	var after secrets.Ref
	for range maxPages {
		page, err := ask(after)
		if err != nil {
			return all, err
		}
		all.Secrets = merge(all.Secrets, page.Secrets)
		if after == (secrets.Ref{}) {
			all.Nodes, all.Release = page.Nodes, page.Release
		}
		if !page.More || len(page.Secrets) == 0 {
			return all, nil
		}
		next := last(page.Secrets)
		if next == after {
			break
		}
		after = next
	}
	return all, fault.New(fault.Invalid, "the control plane's list of secrets does not end, nor go on after %s/%s", after.Service, after.Name)
}

// merge adds a page of secrets to others; its first secret may hold further versions of the
// last one.
func merge(all, page []secrets.Secret) []secrets.Secret {
	for _, secret := range page {
		n := len(all) - 1
		if n >= 0 && all[n].Service == secret.Service && all[n].Name == secret.Name {
			all[n].Versions = append(all[n].Versions, secret.Versions...)
			continue
		}
		all = append(all, secret)
	}
	return all
}

// last names the last version of secrets; its number is 0 if the last secret has none.
func last(all []secrets.Secret) secrets.Ref {
	secret := all[len(all)-1]
	ref := secrets.Ref{Service: secret.Service, Name: secret.Name}
	if n := len(secret.Versions); n > 0 {
		ref.Version = secret.Versions[n-1].Version
	}
	return ref
}
