package cli

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/change"
	"github.com/metacircular/mcp/internal/cli/edge"
	"github.com/metacircular/mcp/internal/cli/identity"
	"github.com/metacircular/mcp/internal/cli/inspect"
	"github.com/metacircular/mcp/internal/cli/job"
	"github.com/metacircular/mcp/internal/cli/key"
	"github.com/metacircular/mcp/internal/cli/local"
	"github.com/metacircular/mcp/internal/cli/node"
	"github.com/metacircular/mcp/internal/cli/reach"
	"github.com/metacircular/mcp/internal/cli/secret"
	"github.com/metacircular/mcp/internal/cli/service"
	"github.com/metacircular/mcp/internal/cli/session"
)

// newRoot returns the root command with all verbs.
func newRoot(s *session.Session) *cobra.Command {
	root := &cobra.Command{
		Use:           "mcp",
		Short:         "Build, push, deploy and watch containers on a small fleet of podman hosts",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&s.ConfigFile, "config", "", "configuration file (default: the nearest .mcp-dev/mcp.toml, then the user's, then /etc/mcp/mcp.toml)")
	flags.BoolVarP(&s.JSON, "json", "j", false, "print one JSON object on stdout")
	flags.BoolVar(&s.Debug, "debug", false, "show whole error chains and the SDK's log")
	root.AddCommand(change.Commands(s)...)
	root.AddCommand(inspect.Commands(s)...)
	root.AddCommand(reach.Commands(s)...)
	root.AddCommand(job.Commands(s)...)
	root.AddCommand(local.Commands(s)...)
	root.AddCommand(edge.Commands(s)...)
	root.AddCommand(identity.Commands(s)...)
	root.AddCommand(key.Command(s), node.Command(s, identity.NodeJoin(s)), service.Command(s), secret.Command(s, change.Deployer(s)), newCompletion(), newVersion(s))
	addEnvironments(root, s)
	return root
}
