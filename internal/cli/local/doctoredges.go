package local

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

// askedEdges is what the edges have answered, and where their hostnames lead.
type askedEdges struct {
	reads.EdgesResult
	err   error
	names []finding
}

// askEdges asks the edges for their state, and resolves their hostnames.
func askEdges(ctx context.Context, s *session.Session, c client.Client) askedEdges {
	var asked askedEdges
	in := reads.EdgesInput{Reach: true}
	asked.err = s.Read(ctx, c, "doctor", reads.EdgesName, in, &asked.EdgesResult, session.Within(4*checkTimeout))
	if asked.err == nil {
		asked.names = nameFindings(ctx, net.DefaultResolver.LookupHost, asked.EdgesResult)
	}
	return asked
}

// findings returns the findings about the edges, and about what leads to them and from
// them.
func (a askedEdges) findings(nodes []fleet.NodeState, d defined, version string) []finding {
	if a.err != nil {
		return []finding{fail("edges", exit.FaultOf(a.err))}
	}
	found := noEdge(a.EdgesResult, d)
	for _, e := range a.Edges {
		found = append(found, edgeFindings(e, a.Silent[e.Name], version)...)
		if !e.Admitted.IsZero() && a.Silent[e.Name] == nil {
			found = append(found, reachFindings(e.Name, a.Unreached[e.Name], a.Routes, nodes)...)
			found = append(found, certificateFindings(e, time.Now())...)
		}
	}
	return slices.Concat(found, conflictFindings(a.Routes, d.places), a.names)
}

// noEdge returns the finding that definitions have routes for edges, but no edge is
// admitted.
func noEdge(all reads.EdgesResult, d defined) []finding {
	if slices.ContainsFunc(all.Edges, func(e fleet.EdgeState) bool { return !e.Admitted.IsZero() }) {
		return nil
	}
	services := 0
	for _, places := range d.places {
		if len(places) > 0 {
			services++
		}
	}
	if services == 0 && len(all.Routes) == 0 {
		return nil
	}
	return []finding{warn("edges", "run mcp-edge on a host that clients reach, and admit it: mcp edge admit NAME",
		"no edge is admitted, so that nothing serves the hostnames of %s", ui.Counted(max(services, 1), "service"))}
}

// edgeFindings returns the findings about an edge itself.
func edgeFindings(e fleet.EdgeState, silent *fault.Error, version string) []finding {
	check := "edge " + e.Name
	switch {
	case e.Admitted.IsZero():
		return []finding{warn(check, "compare that with what its mcp-edge logs, and admit it: mcp edge admit "+e.Name,
			"it waits for its admission since %s; its key has the fingerprint %s", ui.Moment(e.Seen), fingerprint(e.Key))}
	case silent != nil:
		return []finding{fail(check, hinted(silent, "start mcp-edge on %s, or forget it: mcp edge remove %s", e.Hostname, e.Name))}
	}
	var found []finding
	if len(e.Stale) > 0 {
		found = append(found, warn(check, "it gets them within a minute while it answers; if that lasts: mcp edge show "+e.Name,
			"it is stale: it has not the newest routes of %s", strings.Join(e.Stale, ", ")))
	}
	if len(e.Unknown) > 0 {
		found = append(found, warn(check, "it gets what the registry has within a minute; deploy them again if they should run",
			"it serves routes of %s, of which the registry has none: it was restored, or emptied", strings.Join(e.Unknown, ", ")))
	}
	if problems := e.ProblemsNow(true); len(problems) > 0 {
		f := fault.New(fault.Conflict, "%s", strings.Join(problems, "\n"))
		found = append(found, fail(check, f.WithHint("see all of them: mcp edge show %s; its log is in journalctl -u mcp-edge", e.Name)))
	}
	if len(found) == 0 {
		services := 0
		if e.Status != nil {
			services = len(e.Status.Versions)
		}
		found = append(found, sameVersion(check, version, e.Version, fmt.Sprintf("it answers, and has the newest routes of %s", ui.Counted(services, "service"))))
	}
	return found
}

func fingerprint(text string) string {
	key, err := seal.ParseKey(text)
	if err != nil {
		return "-"
	}
	return key.Fingerprint()
}

// reachFindings returns the findings on whether an edge reaches the containers, by their
// nodes.
func reachFindings(edge string, unreached map[string]string, routes []reads.PublishedRoute, nodes []fleet.NodeState) []finding {
	services := map[string]map[string]string{} // by host and address
	for _, r := range routes {
		for _, upstream := range r.Upstreams {
			host, _, err := net.SplitHostPort(upstream)
			if err != nil {
				host = upstream
			}
			if services[host] == nil {
				services[host] = map[string]string{}
			}
			services[host][upstream] = r.Service
		}
	}
	var found []finding
	for _, host := range slices.Sorted(maps.Keys(services)) {
		check := fmt.Sprintf("reach of %s from edge %s", nodesAt(host, nodes), edge)
		var failed []string
		for _, upstream := range slices.Sorted(maps.Keys(services[host])) {
			if why := unreached[upstream]; why != "" {
				failed = append(failed, fmt.Sprintf("%s of %s: %s", upstream, services[host][upstream], ui.FirstLine(why)))
			}
		}
		if len(failed) == 0 {
			found = append(found, ok(check, "it reaches %s", ui.Counted(len(services[host]), "container")))
			continue
		}
		f := fault.New(fault.Unavailable, "it does not reach %s", strings.Join(failed, "\n"))
		found = append(found, fail(check, f.WithHint("let the edge reach the ports of routes there (10000–60000), or set [node] publish of that node to an address that it reaches; does the container run? mcp status")))
	}
	return found
}

// nodesAt names the nodes that publish their routes on an address.
func nodesAt(address string, nodes []fleet.NodeState) string {
	var names []string
	for _, n := range nodes {
		if n.Address == address {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return address
	}
	return strings.Join(names, ", ")
}

// certificateFindings returns the findings about an edge's certificates: each that
// failed, has expired or is late for its renewal, and one for the others.
func certificateFindings(e fleet.EdgeState, now time.Time) []finding {
	if e.Status == nil || len(e.Status.Certificates) == 0 {
		return nil
	}
	var found []finding
	var first time.Time
	good := 0
	for _, c := range e.Status.Certificates {
		if one, bad := certificateFinding(e.Name, c, now); bad {
			found = append(found, one)
			continue
		}
		good++
		if first.IsZero() || c.Until.Before(first) {
			first = c.Until
		}
	}
	if good > 0 {
		found = append(found, ok("certificates of edge "+e.Name, "%s; the first expires %s", ui.Counted(good, "certificate"), ui.Moment(first)))
	}
	return found
}

// certificateFinding finds what is wrong with a certificate, if anything is.
func certificateFinding(edge string, c fleet.Certificate, now time.Time) (finding, bool) {
	check := fmt.Sprintf("certificate of %s at edge %s", c.Hostname, edge)
	hint := "the authority must reach the hostname at an edge, on port 80 or 443, unless DNS answers for it: mcp edge show " + edge
	left := c.Until.Sub(now)
	switch {
	case c.Issuer != "" && left <= 0:
		f := fault.New(fault.Invalid, "it expired %s%s", ui.Moment(c.Until), because(c))
		return fail(check, f.WithHint("%s", hint)), true
	case c.Problem != "" && c.Issuer == "":
		f := fault.New(fault.Unavailable, "there is none%s", because(c))
		return fail(check, f.WithHint("%s", hint)), true
	case c.Problem != "":
		return warn(check, hint, "it expires %s, and was not renewed%s", ui.Moment(c.Until), because(c)), true
	case c.Issuer == "":
		return warn(check, "wait some seconds; if that lasts: mcp edge show "+edge, "there is none yet"), true
	case left < c.Until.Sub(c.From)/3:
		return warn(check, hint, "it expires %s, and less than a third of its life is left: it should have been renewed", ui.Moment(c.Until)), true
	}
	return finding{}, false
}

// because returns why the last attempt to obtain a certificate failed.
func because(c fleet.Certificate) string {
	if c.Problem == "" {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", ui.Moment(c.Failed), ui.FirstLine(c.Problem))
}

// conflictFindings returns findings about the definitions here that name what another
// service holds at the edges.
func conflictFindings(routes []reads.PublishedRoute, places map[string][]servicedef.Place) []finding {
	var found []finding
	for _, service := range slices.Sorted(maps.Keys(places)) {
		for _, place := range places[service] {
			i := slices.IndexFunc(routes, func(r reads.PublishedRoute) bool {
				return r.Service != service && r.Endpoint.Collides(fleet.Endpoint{Port: place.Port, Protocol: place.Protocol, Hostname: place.Hostname, Path: place.Path})
			})
			if i >= 0 {
				f := fault.New(fault.Conflict, "service %s holds it, and the definition of %s names it too", routes[i].Service, service)
				found = append(found, fail("route "+place.String(), f.WithHint("give %s another hostname, path or port, or deploy %s without it first", service, routes[i].Service)))
			}
		}
	}
	return found
}
