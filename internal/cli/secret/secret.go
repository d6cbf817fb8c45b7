package secret

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/workflows"
)

// Deploy deploys a service, as mcp deploy does.
type Deploy func(ctx context.Context, service string) error

// Command returns mcp secret, with its verbs.
func Command(s *session.Session, deploy Deploy) *cobra.Command {
	cmd := &cobra.Command{
		Use: "secret", Short: "Set the secrets of services, sealed to the nodes that need them",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSet(s, deploy), newList(s), newShow(s), newRemove(s), newImport(s, deploy), newRekey(s), newRotate(s), newKeygen(s), newSigner(s))
	return cmd
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"secret set":    {changed{}, workflows.Result{}, follow.Detached{}},
		"secret list":   {[]listed{}},
		"secret show":   {shown{}},
		"secret rm":     {removed{}},
		"secret import": {[]changed{}, workflows.Result{}, follow.Detached{}},
		"secret rekey":  {[]changed{}},
		"secret rotate": {workflows.Rotation{}},
		"secret keygen": {generated{}},
		"secret signer": {signer{}},
	}
}

// parse parses "SERVICE/NAME".
func parse(text string) (service, name string, err error) {
	service, name, ok := strings.Cut(text, "/")
	if !ok {
		return "", "", exit.Usage(fmt.Errorf("%q is no secret: name it as SERVICE/NAME, such as shop/db", text))
	}
	if err := secrets.CheckName(service, name); err != nil {
		return "", "", exit.Usage(err)
	}
	return service, name, nil
}

// unknown is the error of a secret that the registry does not have.
func unknown(service, name string, all []secrets.Secret) error {
	f := fault.New(fault.NotFound, "%s has no secret %s that mcp manages", service, name).
		WithHint("list them: mcp secret list; set one: mcp secret set %s/%s", service, name)
	var known []string
	for _, secret := range all {
		if !secret.Removed {
			known = append(known, secret.Name)
		}
	}
	if near := nearest(name, known); near != "" {
		f = f.WithHint("did you mean %s/%s? mcp secret list %s shows them all", service, near, service)
	}
	return exit.Usage(f)
}
