package cli

import (
	"slices"

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
		Version:       thisProgram(s).String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().BoolP("version", "v", false, "show the version of mcp")
	root.SetVersionTemplate("{{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&s.ConfigFile, "config", "", "configuration file (default: the nearest .mcp-dev/mcp.toml, then the user's, then /etc/mcp/mcp.toml)")
	flags.BoolVarP(&s.JSON, "json", "j", false, "print one JSON object on stdout")
	flags.BoolVar(&s.Debug, "debug", false, "show whole error chains and the SDK's log")
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"change", "Change services:", change.Commands(s)},
		{"inspect", "Inspect services:", inspect.Commands(s)},
		{"reach", "Reach containers, and run jobs:", slices.Concat(reach.Commands(s), job.Commands(s))},
		{"write", "Write definitions and secrets:", []*cobra.Command{service.Command(s), secret.Command(s, change.Deployer(s))}},
		{"fleet", "Manage the fleet:", slices.Concat([]*cobra.Command{node.Command(s, identity.NodeJoin(s)), key.Command(s)},
			edge.Commands(s), identity.Commands(s))},
		{"local", "Run mcp's own parts:", slices.Concat(local.Commands(s), []*cobra.Command{newCompletion(), newVersion(s)})},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, cmd := range g.commands {
			cmd.GroupID = g.id
			root.AddCommand(cmd)
		}
	}
	root.SetHelpCommandGroupID("local")
	addEnvironments(root, s)
	return root
}
