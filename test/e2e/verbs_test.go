package e2e

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
)

// Each verb is in a script, once as it works and once as it refuses.
func TestEveryVerbIsInAScript(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	require.NoError(t, err)
	var scripts strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		lines, _, _ := strings.Cut(string(text), "\n-- ")
		scripts.WriteString(lines + "\n")
	}
	app := &cli.App{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	for _, verb := range verbsBelow(app.Root()) {
		if !elsewhere[verb] {
			require.True(t, regexp.MustCompile(`(?m)^`+verb+`\b`).MatchString(scripts.String()), "no script has %s at work", verb)
		}
		if verb != "mcp version" { // which is given nothing that may be wrong
			require.True(t, regexp.MustCompile(`(?m)^! `+verb+`\b`).MatchString(scripts.String()), "no script has %s refuse", verb)
		}
	}
}

// elsewhere are the verbs that other tests have at work: they go on until they
// are told to end, or concern the node that all tests have in common.
var elsewhere = map[string]bool{
	"mcp worker": true, "mcp dev": true, "mcp dev down": true, "mcp node drain": true, "mcp node remove": true,
	"mcp doctor": true, // it finds the nodes of other tests, which come and go
}

// verbsBelow are the commands that do something, as they are typed.
func verbsBelow(cmd *cobra.Command) (verbs []string) {
	for _, sub := range cmd.Commands() {
		if sub.HasExample() {
			verbs = append(verbs, sub.CommandPath())
		}
		verbs = append(verbs, verbsBelow(sub)...)
	}
	return verbs
}
