package edge

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// listedEdge is one entry of mcp edge list --json.
type listedEdge struct {
	Name string `json:"name"`
	// State is "waiting" for its admission, "admitted", "stale" or "away".
	State    string `json:"state"`
	Version  string `json:"version"`
	Hostname string `json:"hostname"`
	// Addresses are those at which clients reach it.
	Addresses []string `json:"addresses"`
	// Ports maps a route's port to the one on which it listens, where that is another
	// one.
	Ports map[int]int `json:"ports,omitempty"`
	// Routes is how many of the published routes it has the newest state of.
	Routes int `json:"routes"`
	// Stale are the services whose newest publication it has not acknowledged.
	Stale []string `json:"stale"`
	// Unknown are the services that it serves of which the registry has no publication, or
	// an older one.
	Unknown []string `json:"unknown"`
	// Certificates is how many it has, and Failing of which of them the last attempt to
	// obtain or renew it has failed.
	Certificates int      `json:"certificates"`
	Failing      []string `json:"failing"`
	Problems     []string `json:"problems"`
	// Seen is when it last announced itself, or answered.
	Seen time.Time `json:"seen,omitzero"`
}

func newList(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the edges",
		Long: `List shows each edge that has announced itself. One that is "waiting for
admission" gets nothing until mcp edge admit. A "stale" one has not acknowledged
the newest routes of some services, and one that is "away" does not answer.`,
		Example: "  mcp edge list\n  mcp edge list --json | jq -r '.[] | select(.state != \"admitted\").name'",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), s) },
	}
}

func runList(ctx context.Context, s *session.Session) error {
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var edges reads.EdgesResult
	if err := s.Read(ctx, c, "edge", reads.EdgesName, reads.EdgesInput{}, &edges); err != nil {
		return err
	}
	var routes reads.RoutesResult
	if slices.ContainsFunc(edges.Edges, func(e fleet.EdgeState) bool { return !e.Admitted.IsZero() }) {
		if err := s.Read(ctx, c, "route", reads.RoutesName, reads.RoutesInput{}, &routes); err != nil {
			return err
		}
	}
	list := listed(edges, routes.Routes)
	if s.JSON {
		s.PrintJSON(list)
		return nil
	}
	return writeList(s.Stdout, list)
}

// listed returns the entries of edges, in their order.
func listed(edges reads.EdgesResult, routes []reads.PublishedRoute) []listedEdge {
	list := make([]listedEdge, 0, len(edges.Edges))
	for _, e := range edges.Edges {
		one := listedEdge{
			Name: e.Name, State: stateOf(e, edges.Silent[e.Name]), Version: e.Version, Hostname: e.Hostname,
			Addresses: append([]string{}, e.Addresses...), Ports: e.Ports,
			Stale: append([]string{}, e.Stale...), Unknown: append([]string{}, e.Unknown...), Failing: []string{},
			Problems: append([]string{}, e.ProblemsNow(edges.Silent[e.Name] == nil)...), Seen: e.Seen,
		}
		for _, r := range routes {
			if has(e, r.Service) {
				one.Routes++
			}
		}
		if e.Status != nil {
			one.Certificates = len(e.Status.Certificates)
			one.Failing = append(one.Failing, failing(e.Status.Certificates)...)
		}
		list = append(list, one)
	}
	return list
}

// has reports whether an edge has the newest publication of a service.
func has(e fleet.EdgeState, service string) bool {
	return !e.Admitted.IsZero() && !slices.Contains(e.Stale, service)
}

// failing returns the hostnames whose certificate could not be obtained or renewed.
func failing(certificates []fleet.Certificate) (names []string) {
	for _, c := range certificates {
		if c.Problem != "" {
			names = append(names, c.Hostname)
		}
	}
	return names
}

// writeList prints edges for a person.
func writeList(out io.Writer, list []listedEdge) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "no edge has announced itself yet")
		return err
	}
	table := ui.Table(out)
	_, _ = fmt.Fprintln(table, "EDGE\tSTATE\tMCP\tHOST\tPORTS\tROUTES\tCERTIFICATES\tSEEN")
	for _, e := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Name, shownState(e.State, e.Stale), e.Version, orDash(e.Hostname),
			orDash(hostPorts(e.Ports)), routesText(e), certificatesText(e), ui.Moment(e.Seen))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, e := range list {
		if len(e.Unknown) > 0 {
			_, _ = fmt.Fprintf(out, "%s: it serves %s as the registry does not have it: that was restored, or emptied\n", e.Name, strings.Join(e.Unknown, ", "))
		}
		for _, problem := range e.Problems {
			_, _ = fmt.Fprintf(out, "%s: %s\n", e.Name, problem)
		}
	}
	return nil
}

func routesText(e listedEdge) string {
	if e.State == stateWaiting {
		return "-"
	}
	return fmt.Sprint(e.Routes)
}

// certificatesText counts certificates, and those that fail.
func certificatesText(e listedEdge) string {
	switch {
	case e.Certificates == 0:
		return "-"
	case len(e.Failing) == 0:
		return fmt.Sprint(e.Certificates)
	}
	return fmt.Sprintf("%d, %d failing", e.Certificates, len(e.Failing))
}

// sortedKeys returns the keys of a map, sorted.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
