package cli

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metacircular/mcp/internal/cli/change"
	"github.com/metacircular/mcp/internal/cli/edge"
	"github.com/metacircular/mcp/internal/cli/identity"
	"github.com/metacircular/mcp/internal/cli/inspect"
	"github.com/metacircular/mcp/internal/cli/key"
	"github.com/metacircular/mcp/internal/cli/node"
	"github.com/metacircular/mcp/internal/cli/secret"
	"github.com/metacircular/mcp/internal/cli/service"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/servicedef"
)

// fileFlags are the flags that the shell completes, with the ending of a file's
// name; "" is for a directory.
var fileFlags = map[string]string{"config": "toml", "podman-socket": "sock", "socket": "sock", "dir": "", "env-file": "env", "identity": "key", "workspace": "", "services": ""}

// fileArguments are the arguments that the shell completes, with the endings of files.
var fileArguments = map[string][]cobra.Completion{"FILE": {"toml"}, "COMPOSE-FILE": {"yaml", "yml"}, "ENV-FILE": {"env"}, "KEY-FILE": {"key"}}

// completers returns the completers of all groups: by the words that the Use line of a
// command shows, without "[…]" around them and "…" after them, and for flags by
// "--name". Other words are free text.
func completers() map[string]session.Completer {
	all := map[string]session.Completer{}
	for _, group := range []map[string]session.Completer{
		service.Completers(), node.Completers(), inspect.Completers(), change.Completers(), edge.Completers(), identity.Completers(),
		key.Completers(), secret.Completers(),
	} {
		maps.Copy(all, group)
	}
	all["--service"] = all["SERVICE"]
	return all
}

// addCompletions has each command complete its arguments and flags. A new verb needs
// no line here: its Use line names its arguments.
func addCompletions(root *cobra.Command, s *session.Session) {
	c := completing{s, completers()}
	c.add(root)
}

// completing has what a completion needs: the session and the completers of all groups.
type completing struct {
	session    *session.Session
	completers map[string]session.Completer
}

func (c completing) add(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		c.add(sub)
	}
	if words := positional(cmd.Use); cmd.Runnable() && cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, before []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return c.argument(cmd.Context(), words, before, word)
		}
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { c.addFlag(cmd, f) })
}

// addFlag has a flag complete its value, if it takes one.
func (c completing) addFlag(cmd *cobra.Command, f *pflag.Flag) {
	if f.NoOptDefVal != "" {
		return
	}
	_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, before []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if ending, isFile := fileFlags[f.Name]; isFile && ending != "" {
			return []cobra.Completion{ending}, cobra.ShellCompDirectiveFilterFileExt
		} else if isFile {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		if find := c.completers["--"+f.Name]; find != nil {
			return c.find(cmd.Context(), find, before, word), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}) // it fails for a flag that has a completion already
}

// argument completes the argument after those before it.
func (c completing) argument(ctx context.Context, words, before []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(words) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	place := min(len(before), len(words)-1)
	name, repeats := strings.CutSuffix(words[place], "…")
	switch find := c.completers[name]; {
	case fileArguments[name] != nil && (place == len(before) || repeats):
		return fileArguments[name], cobra.ShellCompDirectiveFilterFileExt
	case find == nil || place < len(before) && !repeats:
		return nil, cobra.ShellCompDirectiveNoFileComp
	default:
		found := slices.DeleteFunc(c.find(ctx, find, before, word), func(one cobra.Completion) bool { return repeats && slices.Contains(before, one) })
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// find runs a completer; without a configuration it finds nothing.
func (c completing) find(ctx context.Context, find session.Completer, before []string, word string) []cobra.Completion {
	cfg, err := c.session.Config()
	if err != nil {
		return nil
	}
	if name := c.session.Environment; name != "" && len(before) > 0 {
		before = slices.Clone(before)
		before[0] = servicedef.InEnvironment(before[0], name)
	}
	// A shell writes a candidate to its terminal as it is.
	return slices.DeleteFunc(find(ctx, c.session, cfg, before, word), func(one cobra.Completion) bool {
		return ui.Visible(one) != one || strings.Contains(one, "\n")
	})
}

// askLater runs this process's command line again, in a process that outlives it and
// asks the live system. Like every completion it is silent, even if it fails.
func askLater() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	next := exec.CommandContext(context.Background(), program, os.Args[1:]...)
	next.Env = append(os.Environ(), session.AskingLater+"=1")
	next.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = next.Start()
}
