package edge

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/workflows/tend"
)

// removed is mcp edge remove --json.
type removed struct {
	Edge    string `json:"edge"`
	Removed bool   `json:"removed"`
	// Answered is set where its mcp-edge still runs.
	Answered bool `json:"answered"`
}

func newRemove(s *session.Session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove EDGE",
		Short: "Forget an edge and its key, so that it gets nothing any more",
		Long: `Remove deletes the record of an edge, and its admission. The edge gets no routes
and no certificates any more, and no deploy waits for it. The name is then free
for another key.

Stop mcp-edge on its host first: it goes on serving what it has, and the ports of
containers that have gone since may become those of other services.

It asks for confirmation; without a terminal it requires -y.`,
		Example: "  mcp edge remove front\n  mcp edge remove front -y --json",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runRemove(cmd.Context(), s, names[0], yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func runRemove(ctx context.Context, s *session.Session, name string, yes bool) error {
	all, err := readEdges(ctx, s)
	if err != nil {
		return err
	}
	e, err := find(all, name)
	if err != nil {
		return err
	}
	losses := []string{fmt.Sprintf("the record of %s, last seen %s", name, ui.Moment(e.Seen))}
	answers := !e.Admitted.IsZero() && all.Silent[name] == nil
	if !e.Admitted.IsZero() {
		losses = append(losses, fmt.Sprintf("its admission, with the key %s: it gets no routes and no certificates any more", fingerprint(e.Key)))
	}
	if answers {
		losses = append(losses, "nothing of what it serves now: stop mcp-edge on "+orDash(e.Hostname)+" first")
	}
	if err := s.Confirm(ctx, "edge remove "+name, losses, yes); err != nil {
		return err
	}
	if err := changeEdge(ctx, s, name, "remove", tend.RemoveEdgeName, name, nil); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(removed{Edge: name, Removed: true, Answered: answers})
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: removed\n", name)
	if answers {
		s.Say("its mcp-edge still runs, and serves what it has: stop it on %s; when it next starts it waits for admission", orDash(e.Hostname))
	}
	return nil
}
