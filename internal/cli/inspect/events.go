package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

const (
	// eventsShown is how many of the newest events are listed without --since.
	eventsShown = 100
	// followPause is the time between two reads of a follow.
	followPause = 2 * time.Second
)

type eventsOptions struct {
	node   string
	since  time.Duration
	follow bool
}

func newEvents(s *session.Session) *cobra.Command {
	var o eventsOptions
	cmd := &cobra.Command{
		Use:   "events [SERVICE]",
		Short: "List what the monitor found to have changed on the nodes, oldest first",
		Long: `Events lists what the monitor found to have changed: a container that has been
stopped, replaced or removed by hand, a node that does not answer. Each has one
event when it begins and one when it ends. With --json and --follow, each event
is an object on a separate line.`,
		Example: "  mcp events\n  mcp events shop --since 24h\n  mcp events --node rift --follow --json",
		Args:    session.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := reads.EventsInput{Since: o.since}
			in.Node = o.node
			if len(args) == 1 {
				in.Service = args[0]
			}
			if o.since < 0 {
				return exit.Usage(fmt.Errorf("--since must be a positive duration, such as 1h, not %s", o.since))
			}
			if o.since == 0 {
				in.Limit = eventsShown
			}
			return runEvents(cmd.Context(), s, in, o.follow)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.node, "node", "", "only events of this node")
	flags.DurationVar(&o.since, "since", 0, "how far back to list, such as 1h (default: the newest 100)")
	flags.BoolVarP(&o.follow, "follow", "f", false, "continue with new events, until Ctrl-C")
	return cmd
}

func runEvents(ctx context.Context, s *session.Session, in reads.EventsInput, follow bool) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if follow {
		return followEvents(ctx, s, c, in)
	}
	list, err := readEvents(ctx, s, c, in)
	switch {
	case err != nil:
		return err
	case s.JSON:
		s.PrintJSON(list)
	case len(list) == 0:
		_, _ = fmt.Fprintln(s.Stdout, "no events")
	default:
		writeEvents(s, list)
	}
	return nil
}

func readEvents(ctx context.Context, s *session.Session, c client.Client, in reads.EventsInput) ([]fleet.Event, error) {
	var list []fleet.Event
	err := s.Read(ctx, c, "events", reads.EventsName, in, &list)
	return list, err
}

// followEvents prints events as they come, until ctx ends or the reader has gone.
func followEvents(ctx context.Context, s *session.Session, c client.Client, in reads.EventsInput) error {
	following, end := context.WithCancel(ctx)
	defer end()
	go func() {
		untilReaderGone(following, s.Stdout)
		end()
	}()
	lines := json.NewEncoder(s.Stdout)
	for {
		list, err := readEvents(following, s, c, in)
		switch {
		case following.Err() != nil:
			return exit.IfInterrupted(ctx)
		case err != nil:
			return err
		case s.JSON:
			for _, e := range list {
				_ = lines.Encode(e) // a failed write is recorded by ui.Output
			}
		case len(list) > 0:
			writeEvents(s, list)
		}
		if len(list) > 0 {
			in.After, in.Limit, in.Since = list[len(list)-1].ID, 0, 0
		}
		if pause(following, followPause) != nil {
			return exit.IfInterrupted(ctx)
		}
	}
}

// writeEvents prints events for a person.
func writeEvents(s *session.Session, list []fleet.Event) {
	table := tabwriter.NewWriter(s.Stdout, 20, 4, 2, ' ', 0)
	for _, e := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", ui.Moment(e.At), cmp.Or(e.Node, e.Edge), e.Subject(), e.Kind, e.Message())
	}
	_ = table.Flush()
}
