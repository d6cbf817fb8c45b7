package secret

import (
	"context"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// attempts is how often to try to add a version when other commands add one meanwhile.
const attempts = 3

// store records a value as the next version, unless the newest one has it: that one is
// sealed again if its recipients are others.
func (d *desk) store(ctx context.Context, service, name string, value []byte, to []secrets.Recipient, found reads.SecretsResult) (changed, error) {
	for attempt := 1; ; attempt++ {
		result, err := d.storeOnce(ctx, service, name, value, to, found)
		if !fault.Is(err, fault.Conflict) || attempt == attempts {
			return result, err
		}
		if found, err = d.read(ctx, service); err != nil {
			return changed{}, err
		}
	}
}

func (d *desk) storeOnce(ctx context.Context, service, name string, value []byte, to []secrets.Recipient, found reads.SecretsResult) (changed, error) {
	mark, err := d.key.Mark(service, name, value)
	if err != nil {
		return changed{}, err
	}
	ref, outcome := secrets.Ref{Service: service, Name: name, Version: found.Next(service, name)}, isNew
	if secret, exists := secretOf(found.Secrets, service, name); exists {
		if current, kept := secret.Current(); kept && current.Marked(d.key.Signer(), mark) {
			ref.Version, outcome = current.Version, resealed
			if secrets.SameRecipients(current.Recipients, to) {
				outcome = unchanged
			}
		}
	}
	if outcome != unchanged {
		err = d.add(ctx, ref, value, mark, to, outcome == resealed)
	}
	return changed{service, name, ref.Version, outcome, recipientsShown(to)}, err
}

// add seals a value and records it.
func (d *desk) add(ctx context.Context, ref secrets.Ref, value, mark []byte, to []secrets.Recipient, rekey bool) error {
	envelope, err := secrets.Seal(ref, value, to, d.key)
	if err != nil {
		return err
	}
	in := secrets.Addition{Envelope: envelope, Mark: mark, Rekey: rekey}
	in.Who, in.From = d.Identity()
	return d.Read(ctx, d.client, "secret set", workflows.SetSecretName, in, nil, session.ChangingSecret(ref.Service, ref.Name, "set"))
}
