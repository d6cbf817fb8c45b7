package node

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/workflows/reads"
)

// nodePolicy is mcp node policy --json.
type nodePolicy struct {
	Node string `json:"node"`
	policy.Policy
}

func newPolicy(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "policy NODE",
		Short: "Show what the owner of a node lets containers have there",
		Long: `Policy asks a node for the rules in its node-policy.toml: what containers may
mount, where images come from, which networks, ports, users, capabilities and
devices they may have, and whether commands and builds are run. The rules are the
node's own: its worker reads them from a file there, and refuses what they forbid.

A rule without a line has mcp's own value, because the file does not have the key.`,
		Example: "  mcp node policy rift\n  mcp node policy rift --json | jq .mounts.roots",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runPolicy(cmd.Context(), s, names[0]) },
	}
}

func runPolicy(ctx context.Context, s *session.Session, name string) error {
	if _, err := readNodes(ctx, s, []string{name}); err != nil {
		return err
	}
	found := nodePolicy{Node: name}
	if err := s.Query(ctx, "node", reads.NodePolicyName, name, &found.Policy); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(found)
		return nil
	}
	return writePolicy(s.Stdout, found)
}

// writePolicy prints a policy for a person.
func writePolicy(out io.Writer, p nodePolicy) error {
	table := ui.Table(out)
	file := p.File
	if p.Default {
		file += ", which does not exist: these are mcp's own rules"
	}
	_, _ = fmt.Fprintf(table, "node\t%s\nfile\t%s\n", p.Node, file)
	if p.Problem != "" {
		_, _ = fmt.Fprintf(table, "problem\t%s\n\tnothing new may run there, or be built, until that is mended\n", strings.ReplaceAll(p.Problem, "\n", "\n\t"))
		return table.Flush()
	}
	_, _ = fmt.Fprintln(table, "\nLINE\tRULE\tVALUE")
	for _, rule := range p.Rules() {
		line := "-"
		if rule.Line > 0 {
			line = fmt.Sprint(rule.Line)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", line, rule.Key, rule.Value)
	}
	return table.Flush()
}
