package main

import (
	"flag"
	"os"
	"path/filepath"
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
