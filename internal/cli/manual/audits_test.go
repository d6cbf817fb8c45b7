package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/workflows"
)

// unaudited are the verbs that leave nothing in the audit, and why.
var unaudited = map[string]string{
	"audit": "reads", "build log": "reads", "config show": "reads", "doctor": "reads", "edge list": "reads", "edge show": "reads",
	"events": "reads", "history": "reads", "job history": "reads", "job logs": "reads", "jobs": "reads", "logs": "reads",
	"node list": "reads", "node policy": "reads", "node show": "reads", "node status": "reads", "open": "reads", "plan": "reads", "ps": "reads",
	"route list": "reads", "secret list": "reads", "secret show": "reads", "service check": "reads", "service list": "reads", "service show": "reads", "status": "reads",
	"identity list": "reads", "version": "reads", "completion": "prints", "node signatures": "prints",
	"build sign":   "adds a signature, by a key of this machine, and asks no control plane: the image registry has it",
	"service edit": "changes a file of the workspace, which its own history has", "service export": "writes files",
	"service import": "writes a file", "service new": "writes a file",
	"key list": "reads", "key new": "changes a file of this machine", "key promote": "changes a file of this machine",
	"key remove":    "changes a file of this machine",
	"secret keygen": "writes a key, and the file of pinned keys, which version control has", "secret signer": "prints",
	"dev": "runs a platform of its own", "dev down": "ends a platform of its own", "dev trust": "changes this machine's own trust",
	"gateway": "serves: what it does is in the audit by who asked for it",
	"worker":  "serves: what it does is in the audit by who asked for it",
}

// Each verb leaves something in the audit, or a reason not to. TestScripts of test/e2e
// requires that of what it runs.
func TestEveryVerbIsAuditedOrSaysWhyNot(t *testing.T) {
	seen := map[string]bool{}
	each(commands(), func(cmd *cobra.Command) {
		verb := verbOf(cmd)
		seen[verb] = true
		audited, changes := cli.Audits()[verb]
		require.NotEqual(t, unaudited[verb] == "", !changes, "mcp %s: add it to internal/cli/audits.go, or to this list with the reason", verb)
		if changes {
			require.Contains(t, workflows.AuditedVerbs(), audited, "mcp %s: no workflow of workflows/audited.go is this action", verb)
		}
	})
	for verb := range unaudited {
		require.True(t, seen[verb], "there is no mcp %s", verb)
	}
	for verb := range cli.Audits() {
		require.True(t, seen[verb], "there is no mcp %s", verb)
	}
}
