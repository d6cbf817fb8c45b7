package edge

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// listedRoute is one entry of mcp route list --json.
type listedRoute struct {
	Service string `json:"service"`
	// Components are those whose containers serve it, and Route its name.
	Components []string `json:"components"`
	Route      string   `json:"route"`
	// URL is where clients reach it; "" where a URL does not name it.
	URL string `json:"url"`
	fleet.Endpoint
	// State is "serving", "maintenance", "held" while its only container is replaced, or
	// "down" where no container serves it.
	State string `json:"state"`
	// Upstreams are the addresses of its containers.
	Upstreams []string `json:"upstreams"`
	// Redirect is the hostname to which every request is redirected; "" for none.
	Redirect string `json:"redirect,omitempty"`
	// Options are the keys of the route that change how it is served.
	Options []string `json:"options"`
	// Edges are the admitted ones that have its newest state, and Stale those that do
	// not.
	Edges []string `json:"edges"`
	Stale []string `json:"stale"`
}

func newRouteList(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "list [SERVICE]",
		Short: "List the routes that the edges serve, with their URLs",
		Long: `List shows each route that the edges serve: where clients reach it, which
containers serve it, and which edges have its newest state. A route is "held"
while its only container is replaced, and in "maintenance" from mcp maintenance
SERVICE on until off.`,
		Example: "  mcp route list\n  mcp route list shop --json | jq -r '.[].url'",
		Args:    session.Args(cobra.MaximumNArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runRouteList(cmd.Context(), s, names) },
	}
}

func runRouteList(ctx context.Context, s *session.Session, names []string) error {
	service := strings.Join(names, "")
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var routes reads.RoutesResult
	if err := s.Read(ctx, c, "route", reads.RoutesName, reads.RoutesInput{Service: service}, &routes); err != nil {
		return err
	}
	var edges reads.EdgesResult
	if err := s.Read(ctx, c, "edge", reads.EdgesName, reads.EdgesInput{}, &edges); err != nil {
		return err
	}
	list := listedRoutes(routes.Routes, edges.Edges)
	switch {
	case s.JSON:
		s.PrintJSON(list)
		return nil
	case len(list) == 0 && service != "":
		_, _ = fmt.Fprintf(s.Stdout, "the edges serve no route of %s: a route needs a hostname, or edge = true\n", service)
		return nil
	case len(list) == 0:
		_, _ = fmt.Fprintln(s.Stdout, "the edges serve no route: a route needs a hostname, or edge = true")
		return nil
	}
	return writeRoutes(s.Stdout, list)
}

// listedRoutes returns the entries of routes, in their order.
func listedRoutes(routes []reads.PublishedRoute, edges []fleet.EdgeState) []listedRoute {
	list := make([]listedRoute, 0, len(routes))
	for _, r := range routes {
		one := listedRoute{
			Service: r.Service, Components: append([]string{}, r.Components...), Route: r.Name, URL: r.URL, Endpoint: r.Endpoint,
			State: routeState(r.EdgeRoute), Upstreams: append([]string{}, r.Upstreams...), Redirect: r.Redirect,
			Options: append([]string{}, optionsOf(r.EdgeRoute)...), Edges: []string{}, Stale: []string{},
		}
		for _, e := range edges {
			switch {
			case has(e, r.Service):
				one.Edges = append(one.Edges, e.Name)
			case !e.Admitted.IsZero():
				one.Stale = append(one.Stale, e.Name)
			}
		}
		list = append(list, one)
	}
	return list
}

func routeState(r fleet.EdgeRoute) string {
	switch {
	case r.Maintenance:
		return "maintenance"
	case r.Held:
		return "held"
	case len(r.Upstreams) == 0 && r.Redirect == "":
		return "down"
	}
	return "serving"
}

// optionsOf returns the keys that a route's definition has. It leaves out even the names
// of the users of basic_auth.
func optionsOf(r fleet.EdgeRoute) (options []string) {
	for _, o := range []struct {
		set  bool
		text string
	}{
		{r.Strip, "strip"}, {r.H2C, "h2c"}, {r.Compress, "compress"}, {len(r.BasicAuth) > 0, "basic_auth"},
		{len(r.Allow) > 0, "allow"}, {r.ProxyProtocol != "", "proxy_protocol " + r.ProxyProtocol},
	} {
		if o.set {
			options = append(options, o.text)
		}
	}
	return options
}

// writeRoutes prints routes for a person.
func writeRoutes(out io.Writer, list []listedRoute) error {
	table := ui.Table(out)
	_, _ = fmt.Fprintln(table, "URL\tSERVICE\tROUTE\tSTATE\tUPSTREAMS\tOPTIONS\tEDGES")
	for _, r := range list {
		url := r.URL
		if url == "" {
			url = r.String()
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", url, r.Service, strings.Join(r.Components, ",")+"/"+r.Route, r.State,
			servedBy(r), orDash(strings.Join(r.Options, ", ")), edgesText(r))
	}
	return table.Flush()
}

// servedBy returns what answers on a route.
func servedBy(r listedRoute) string {
	if r.Redirect != "" {
		return "→ " + r.Redirect
	}
	return orDash(strings.Join(r.Upstreams, " "))
}

func edgesText(r listedRoute) string {
	edges := slices.Clone(r.Edges)
	for _, name := range r.Stale {
		edges = append(edges, name+" (stale)")
	}
	return orDash(strings.Join(edges, " "))
}
