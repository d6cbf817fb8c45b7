package secret

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows/reads"
)

type rekeyOptions struct {
	identity string
	signers  []string
	places
}

func newRekey(s *session.Session) *cobra.Command {
	var o rekeyOptions
	cmd := &cobra.Command{
		Use:   "rekey SERVICE --identity FILE",
		Short: "Seal the secrets of a service again, to the nodes that need them now",
		Long: `Rekey opens every version of the secrets of a service that is kept, with a
recovery key, and seals it again to the nodes that need it now, with the keys that
are pinned now: after a component has moved to another node, after a node was lost
or set up again, and after a recovery key has changed. The values and the numbers
of their versions stay, so that no container is replaced.

It takes only what is signed by you or by a --signer: otherwise, a value that was
planted in Postgres would bear your signature afterwards. Without a recovery key
set the values again, with mcp secret set.`,
		Example: "  mcp secret rekey shop --identity recovery.key",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runRekey(cmd.Context(), s, args[0], o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.identity, "identity", "", "the file of a private key that can open the values, such as a recovery key")
	flags.StringSliceVar(&o.signers, "signer", nil, "take what this operator has signed, too: see mcp secret signer")
	o.flags(flags, "them", "need them")
	return cmd
}

func runRekey(ctx context.Context, s *session.Session, service string, o rekeyOptions) error {
	if o.identity == "" {
		return exit.Usage(fault.New(fault.Invalid, "rekey needs a key that can open the values: --identity FILE").
			WithHint("without one, set each value again: mcp secret set %s/NAME", service))
	}
	identity, err := seal.Read(o.identity)
	if err != nil {
		return exit.Usage(err)
	}
	signers, err := signersOf(o.signers)
	if err != nil {
		return exit.Usage(err)
	}
	d, found, err := openService(ctx, s, service)
	if err != nil {
		return err
	}
	defer d.close()
	r := rekeying{desk: d, opener: secrets.Opener{Identity: identity, Signers: append(signers, d.key.Signer())}, found: found, to: o.places}
	results, failed := []changed{}, error(nil)
	for _, secret := range found.Secrets {
		if secret.Removed {
			continue
		}
		done, err := r.rekey(ctx, secret)
		results, failed = append(results, done...), cmp.Or(failed, err)
	}
	if failed != nil {
		return failed
	}
	if len(results) == 0 {
		return exit.Usage(fault.New(fault.NotFound, "%s has no secrets that mcp manages", service).WithHint("list all: mcp secret list"))
	}
	if s.JSON {
		s.PrintJSON(results)
	}
	return nil
}

func signersOf(texts []string) ([]secrets.Signer, error) {
	var all []secrets.Signer
	for _, text := range texts {
		one, err := secrets.ParseSigner(text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// rekeying seals the secrets of a service again.
type rekeying struct {
	*desk
	opener secrets.Opener
	found  reads.SecretsResult
	to     places
}

// rekey seals each version of a secret again that is not sealed to the same recipients,
// and returns what became of each. A former version that the key cannot open stays as it
// is; for the newest one that is an error.
func (r rekeying) rekey(ctx context.Context, secret secrets.Secret) ([]changed, error) {
	to, err := r.recipientsOf(ctx, secret.Service, secret.Name, r.to, r.found)
	if err != nil {
		return nil, err
	}
	var results []changed
	for _, v := range slices.Backward(secret.Versions) {
		ref := secrets.Ref{Service: secret.Service, Name: secret.Name, Version: v.Version}
		outcome := resealed
		if secrets.SameRecipients(v.Recipients, to) {
			outcome = unchanged
		} else if err := r.again(ctx, ref, to); err != nil && (v.Version == secret.Newest || !fault.Is(err, fault.Unauthorized)) {
			return results, err
		} else if err != nil {
			r.Say("%s stays as it is: %s", ref, exit.FaultOf(err).Message)
			outcome = left
		}
		result := changed{ref.Service, ref.Name, ref.Version, outcome, recipientsShown(to)}
		if outcome == left {
			result.Recipients = recipientsShown(v.Recipients)
		}
		results = append(results, result)
		if !r.JSON && outcome != left {
			_, _ = fmt.Fprintln(r.Stdout, rekeyed(result))
		}
	}
	return results, nil
}

// rekeyed returns what became of a version, for a person.
func rekeyed(c changed) string {
	if c.Outcome == unchanged {
		return fmt.Sprintf("%s/%s: version %d is sealed to them already", c.Service, c.Name, c.Version)
	}
	return summary(c)
}

// again opens a version and seals it to others.
func (r rekeying) again(ctx context.Context, ref secrets.Ref, to []secrets.Recipient) error {
	var loaded oncontrol.LoadEnvelopesResult
	in := oncontrol.LoadEnvelopesInput{Refs: []secrets.Ref{ref}}
	if err := r.Read(ctx, r.client, "secret rekey", reads.EnvelopesName, in, &loaded); err != nil {
		return err
	}
	if len(loaded.Envelopes) != 1 {
		return fault.New(fault.Internal, "%s: the registry has answered with %d envelopes", ref, len(loaded.Envelopes))
	}
	value, err := r.opener.Open(ref, loaded.Envelopes[0])
	if err != nil {
		return err
	}
	mark, err := r.key.Mark(ref.Service, ref.Name, value)
	if err != nil {
		return err
	}
	return r.add(ctx, ref, value, mark, to, true)
}
