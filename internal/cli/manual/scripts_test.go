package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// Each verb is in a script of test/e2e, once at work and once as it refuses.
func TestEveryVerbIsInAScript(t *testing.T) {
	files, err := filepath.Glob("../../../test/e2e/testdata/script/*.txtar")
	require.NoError(t, err)
	var scripts strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		lines, _, _ := strings.Cut(string(text), "\n-- ")
		scripts.WriteString(lines + "\n")
	}
	typed := func(line string) bool {
		return regexp.MustCompile(`(?m)^` + line + `( |$)`).MatchString(scripts.String())
	}
	each(commands(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if !elsewhere[verbOf(cmd)] {
			require.True(t, typed(path), "no script has %s at work", path)
		}
		if verbOf(cmd) != "version" { // which is given nothing that may be wrong
			require.True(t, typed("! "+path), "no script has %s refuse", path)
		}
	})
}

// elsewhere are the verbs that other tests have at work: they go on until they
// run until a signal ends them, concern the node that all tests have in common, or find the
// nodes of other tests, which come and go.
var elsewhere = map[string]bool{
	"worker": true, "dev": true, "dev down": true, "dev trust": true, "node drain": true, "node remove": true, "doctor": true,
	"cp": true, "port-forward": true, // through a gateway
	"gateway": true, "identity create": true, "identity list": true, "identity revoke": true, "identity rotate": true, "join": true, "node join": true,
	"key forget":    true, // with a registry and keys of its own
	"secret rotate": true, // of a service that runs, with an operator whom the node trusts
}
