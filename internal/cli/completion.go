package cli

import (
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
)

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Write the script with which a shell completes mcp's command lines",
		Long: `Completion writes the script with which a shell completes mcp's command lines:
verbs and flags, and the services, components, images, nodes and releases that
the services directory and the live system have. Where the system does not
answer within a second, only the files are used. Its answers are kept below
~/.cache/mcp for a day, or until a command changes something; one that is older
than 20 seconds is offered once more while it is fetched anew. The shell needs to
read the script once, when it starts.`,
		Example: `  # bash, with its package bash-completion
  mcp completion bash > ~/.local/share/bash-completion/completions/mcp

  # zsh
  mcp completion zsh > "${fpath[1]}/_mcp"

  # fish
  mcp completion fish > ~/.config/fish/completions/mcp.fish`,
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish"},
		Args:      session.Args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, shells []string) error {
			root := cmd.Root()
			switch shells[0] {
			case "zsh":
				return root.GenZshCompletion(cmd.OutOrStdout())
			case "fish":
				return root.GenFishCompletion(cmd.OutOrStdout(), true)
			}
			return root.GenBashCompletionV2(cmd.OutOrStdout(), true)
		},
	}
}
