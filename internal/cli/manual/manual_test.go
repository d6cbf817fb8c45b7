package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is checked in anew")

func TestTheReferenceIsOfTheseCommands(t *testing.T) {
	requireFile(t, "../../../docs/commands.md", reference(commands()))
}

func TestEveryCommandHasItsManPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	require.NoError(t, writePages(dir))
	each(commands(), func(cmd *cobra.Command) {
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		require.NoError(t, err)
		require.Contains(t, string(text), ".SH EXAMPLE")
		require.Contains(t, string(text), ".SH SYNOPSIS")
	})
}

func TestEveryCommandSaysWhatItDoesAndHow(t *testing.T) {
	each(commands(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		require.NotEmpty(t, cmd.Short, path)
		require.NotContains(t, ".!", cmd.Short[len(cmd.Short)-1:], "%s: a heading, not a sentence", path)
		require.LessOrEqual(t, len(cmd.Short), 80, path)
		require.Contains(t, cmd.Example, "  "+path, "%s has no example", path)
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			require.LessOrEqual(t, len([]rune(line)), 82, "%s: %s", path, line)
		}
	})
}

// An example is a command line that mcp understands; what is before or behind
// it is the shell's.
func TestTheExamplesCanBeTyped(t *testing.T) {
	typed := regexp.MustCompile(`(?m)^  (mcp [^|>\n]*)`)
	each(commands(), func(cmd *cobra.Command) {
		for _, line := range typed.FindAllStringSubmatch(cmd.Example, -1) {
			found, rest, err := commands().Find(strings.Fields(line[1])[1:])
			require.NoError(t, err, line[1])
			require.Contains(t, found.CommandPath(), cmd.CommandPath(), line[1]) // or one below it
			require.NoError(t, found.ParseFlags(rest), line[1])
			require.NoError(t, found.ValidateArgs(found.Flags().Args()), line[1])
		}
	})
}
