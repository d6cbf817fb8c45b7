package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows"
)

const (
	// eventsShown is how many of the newest events are listed where nobody
	// says from when on.
	eventsShown = 100
	// followPause is how long to wait before asking for more.
	followPause = 2 * time.Second
)

type eventsOptions struct {
	node   string
	since  time.Duration
	follow bool
}

func newEvents(a *App) *cobra.Command {
	var o eventsOptions
	cmd := &cobra.Command{
		Use:   "events [SERVICE]",
		Short: "List what the monitor found to have changed on the nodes, oldest first",
		Long: `Events lists what the monitor found to have changed: a container that has been
stopped, replaced or removed by hand, a node that does not answer. Each has one
event when it begins and one when it ends. With --json and --follow, each event
is an object on a line of its own.`,
		Example: "  mcp events\n  mcp events shop --since 24h\n  mcp events --node rift --follow --json",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := workflows.EventsInput{Since: o.since}
			in.Node = o.node
			if len(args) == 1 {
				in.Service = args[0]
			}
			if o.since < 0 {
				return usageError{fmt.Errorf("--since is a time that has passed, such as 1h, not %s", o.since)}
			}
			if o.since == 0 {
				in.Limit = eventsShown
			}
			return a.events(cmd.Context(), in, o.follow)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.node, "node", "", "those of this node only")
	flags.DurationVar(&o.since, "since", 0, "how far back to look, such as 1h (default: the newest 100)")
	flags.BoolVarP(&o.follow, "follow", "f", false, "wait for more, until Ctrl-C")
	return cmd
}

func (a *App) events(ctx context.Context, in workflows.EventsInput, follow bool) error {
	_, c, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if follow {
		return a.followEvents(ctx, c, in)
	}
	list, err := a.readEvents(ctx, c, in)
	switch {
	case err != nil:
		return err
	case a.json:
		a.printJSON(list)
	case len(list) == 0:
		_, _ = fmt.Fprintln(a.Stdout, "no events")
	default:
		a.writeEvents(list)
	}
	return nil
}

func (a *App) readEvents(ctx context.Context, c client.Client, in workflows.EventsInput) ([]fleet.Event, error) {
	var list []fleet.Event
	err := a.read(ctx, c, "events", workflows.EventsName, in, &list)
	return list, err
}

// followEvents shows events as they come, until ctx ends or the reader has gone.
func (a *App) followEvents(ctx context.Context, c client.Client, in workflows.EventsInput) error {
	follow, end := context.WithCancel(ctx)
	defer end()
	go func() {
		untilReaderGone(follow, a.Stdout)
		end()
	}()
	lines := json.NewEncoder(a.Stdout)
	for {
		list, err := a.readEvents(follow, c, in)
		switch {
		case follow.Err() != nil:
			return interrupted(ctx)
		case err != nil:
			return err
		case a.json:
			for _, e := range list {
				_ = lines.Encode(e) // a closed pipe is the reader's own wish
			}
		case len(list) > 0:
			a.writeEvents(list)
		}
		if len(list) > 0 {
			in.After, in.Limit, in.Since = list[len(list)-1].ID, 0, 0
		}
		if pause(follow, followPause) != nil {
			return interrupted(ctx)
		}
	}
}

// writeEvents shows events to a person.
func (a *App) writeEvents(list []fleet.Event) {
	table := tabwriter.NewWriter(a.Stdout, 20, 4, 2, ' ', 0)
	for _, e := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.At.Local().Format(time.DateTime), e.Node, e.Subject(), e.Kind, e.Message())
	}
	_ = table.Flush()
}
