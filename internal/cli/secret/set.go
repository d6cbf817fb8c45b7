package secret

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows"
)

// changed is one entry of mcp secret set, import and rekey --json.
type changed struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	// Outcome is "new" for a new version, "unchanged", "resealed" for the same value with
	// other recipients, or "left" for a former one that the key of rekey cannot open.
	Outcome    string      `json:"outcome"`
	Recipients []recipient `json:"recipients"`
}

// recipient is whom a value is sealed to.
type recipient struct {
	Name        string `json:"name"`
	Builder     bool   `json:"builder"`
	Recovery    bool   `json:"recovery"`
	Fingerprint string `json:"fingerprint"`
}

// The outcomes of setting a secret.
const (
	isNew     = "new"
	unchanged = "unchanged"
	resealed  = "resealed"
	left      = "left"
)

type setOptions struct {
	source
	places
	deploy bool
}

// places are the nodes and the builders that a value is sealed to; none means those that
// need it.
type places struct{ nodes, builders []string }

// flags adds the flags of places.
func (p *places) flags(flags *pflag.FlagSet, what, need string) {
	flags.StringSliceVar(&p.nodes, "node", nil, "seal "+what+" to this node, instead of those that "+need+"; repeatable")
	flags.StringSliceVar(&p.builders, "builder", nil, "seal "+what+" to this builder, instead of those that "+need+"; repeatable")
}

func newSet(s *session.Session, deploy Deploy) *cobra.Command {
	var o setOptions
	cmd := &cobra.Command{
		Use:   "set SERVICE/NAME",
		Short: "Set a secret of a service, as a new version",
		Long: `Set reads a value, seals it to the nodes that need it and to the recovery keys,
signs that, and records it as the next version of the secret. Temporal and
Postgres get the sealed value alone. The next deploy of the service brings it to
the containers, and --deploy is that deploy. The value that the newest version
has already makes no new one.

The value is what standard input has, what a file has (--file), or what a command
prints, which runs in a shell (--exec "op read op://shop/db/password"). At a
terminal set asks, and does not show it. A single line from standard input or a
command is taken without the newline at its end; several lines, and a file, are
taken as they are.

The nodes are those of the components, jobs and steps that name the secret in the
service's definition, or else in its release; where nothing does, all nodes of the
service. Where a build names it, it is sealed to the builder of this configuration
and to those that are pinned. Keys are pinned in mcp.keys.toml, beside the
services directory, when they are first used; a node with another key is refused.`,
		Example: "  mcp secret set shop/db\n  pass show shop/db | mcp secret set shop/db --deploy\n" +
			"  mcp secret set shop/tls-key --file tls.key\n  mcp secret set shop/db --exec ./read-password",
		Args: session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return runSet(cmd.Context(), s, args[0], o, deploy) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "", "take the value from this file, as it is")
	flags.StringVar(&o.command, "exec", "", "take the value from what this command prints")
	o.flags(flags, "it", "need it")
	flags.BoolVar(&o.deploy, "deploy", false, "deploy the service afterwards")
	return cmd
}

func runSet(ctx context.Context, s *session.Session, target string, o setOptions, deploy Deploy) error {
	service, name, err := parse(target)
	if err != nil {
		return err
	}
	d, found, err := openService(ctx, s, service)
	if err != nil {
		return err
	}
	defer d.close()
	to, err := d.recipientsOf(ctx, service, name, o.places, found)
	if err != nil {
		return err
	}
	value, err := o.read(ctx, s, target)
	if err != nil {
		return err
	}
	result, err := d.store(ctx, service, name, value, to, found)
	if err != nil {
		return err
	}
	switch {
	case o.deploy:
		s.Say("%s", summary(result))
		return deploy(ctx, service)
	case s.JSON:
		s.PrintJSON(result)
	default:
		_, _ = fmt.Fprintln(s.Stdout, summary(result))
		if result.Outcome == isNew {
			s.Say("the next deploy brings it to the containers: mcp deploy %s", service)
		}
	}
	return nil
}

// recipientsOf returns to whom a secret is sealed, and says what an operator should know
// about that.
func (d *desk) recipientsOf(ctx context.Context, service, name string, asked places, found workflows.SecretsResult) ([]secrets.Recipient, error) {
	if len(asked.nodes)+len(asked.builders) == 0 {
		needed, err := d.consumersOf(service, name, found.Release)
		if err != nil {
			return nil, err
		}
		if asked.nodes = needed.nodes; !needed.named {
			d.Say("nothing in the %s of %s names %s yet: it is sealed to all its nodes, %s", needed.from, service, name, strings.Join(asked.nodes, ", "))
		}
		if needed.builds {
			if asked.builders, err = d.builders(service, name); err != nil {
				return nil, err
			}
		}
	}
	to, err := d.recipients(ctx, asked.nodes, asked.builders, found.Nodes)
	if err == nil {
		d.warnOfRecovery(to)
	}
	return to, err
}

// attempts is how often a version is added when other commands add one meanwhile.
const attempts = 3

// store records a value as the next version, unless the newest one has it: that is sealed
// again where its recipients are others.
func (d *desk) store(ctx context.Context, service, name string, value []byte, to []secrets.Recipient, found workflows.SecretsResult) (changed, error) {
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

func (d *desk) storeOnce(ctx context.Context, service, name string, value []byte, to []secrets.Recipient, found workflows.SecretsResult) (changed, error) {
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

func secretOf(all []secrets.Secret, service, name string) (secrets.Secret, bool) {
	for _, secret := range all {
		if secret.Service == service && secret.Name == name && !secret.Removed {
			return secret, true
		}
	}
	return secrets.Secret{}, false
}

func recipientsShown(all []secrets.Recipient) []recipient {
	list := []recipient{}
	for _, r := range all {
		list = append(list, recipient{r.Name, r.Builder, r.Recovery, r.Key.Fingerprint()})
	}
	return list
}

// summary is the outcome of setting a secret, for a person.
func summary(c changed) string {
	var names []string
	for _, r := range c.Recipients {
		names = append(names, secrets.Recipient{Name: r.Name, Builder: r.Builder, Recovery: r.Recovery}.String())
	}
	text := fmt.Sprintf("%s/%s: version %d", c.Service, c.Name, c.Version)
	switch c.Outcome {
	case unchanged:
		text += ", unchanged: it has this value already"
	case resealed:
		text += " has this value already, and is now sealed to " + strings.Join(names, ", ")
	default:
		text += ", sealed to " + strings.Join(names, ", ")
	}
	return ui.FirstLine(text)
}
