package secret

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

type setOptions struct {
	source
	places
	deploy bool
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

// Deploy deploys a service, as mcp deploy does.
type Deploy func(ctx context.Context, service string) error
