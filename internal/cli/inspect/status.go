package inspect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
	"github.com/metacircular/mcp/workflows/reads"
)

// serviceStatus is one entry of mcp status --json.
type serviceStatus struct {
	Service   string `json:"service"`
	Node      string `json:"node"`
	Active    bool   `json:"active"`
	Release   int    `json:"release"`
	Deploying int    `json:"deploying"`
	// Lost is the number of the newest deployment where its workflow was ended in
	// Temporal, so that nothing has been put back; 0 if not.
	Lost  int  `json:"lost"`
	Dirty bool `json:"dirty"`
	// Pending is set when the definition that was recorded last is not that of the
	// release, unless the one in the services directory here is.
	Pending    bool              `json:"pending"`
	Components []componentStatus `json:"components"`
	// Jobs are the names of its jobs, which mcp jobs lists.
	Jobs []string `json:"jobs,omitempty"`
	// Retiring are the containers before the release that are not gone yet.
	Retiring []retiringStatus `json:"retiring"`
}

type retiringStatus struct {
	Container string `json:"container"`
	Node      string `json:"node"`
	State     string `json:"state"`
	// Since is when the release took over.
	Since time.Time `json:"since,omitzero"`
}

type componentStatus struct {
	Name          string        `json:"name"`
	Container     string        `json:"container"`
	Node          string        `json:"node"`
	Image         string        `json:"image"`
	Digest        string        `json:"digest"`
	DesiredState  string        `json:"desired_state"`
	ObservedState string        `json:"observed_state"`
	Health        string        `json:"health"`
	Started       time.Time     `json:"started,omitzero"`
	UptimeSeconds int64         `json:"uptime_seconds"`
	Restarts      int           `json:"restarts"`
	Routes        []routeStatus `json:"routes"`
	Drift         []string      `json:"drift"`
	// Source is where the image comes from, if git gave its tag.
	Source *servicedef.Source `json:"source,omitempty"`
}

type routeStatus struct {
	fleet.Route
	// URL is the first of the URLs at which edges serve the route; "" for none.
	URL  string   `json:"url"`
	URLs []string `json:"urls"`
}

func newStatus(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "status [SERVICE…]",
		Short: "Show what should run and what runs",
		Long: `Status compares the release of each service with the containers that its nodes
have at this moment. DRIFT names how a component differs: missing, stopped,
running, renamed, wrong-image, wrong-ports, replaced, unnamed, flapping,
unhealthy, forbidden by the policy of its node or, where that does not answer,
unreachable. A service is "pending" when the definition that was recorded last
is not that of its release, unless the one in the services directory is, and
"dirty" when a deploy could not put everything back. COMMIT is where an image
comes from whose tag is {git}. Behind a route is the URL at which the edges
serve it. Containers that a release has replaced are listed until they are gone:
they are drained and removed after the deploy has succeeded.`,
		Example: "  mcp status\n  mcp status shop --json | jq '.[0].components[].drift'",
		RunE:    func(cmd *cobra.Command, args []string) error { return runStatus(cmd.Context(), s, args) },
	}
}

func runStatus(ctx context.Context, s *session.Session, names []string) error {
	var result reads.StatusResult
	err := s.Query(ctx, "status", reads.StatusName, reads.StatusInput{Services: names}, &result)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(result.Services, func(s fleet.ServiceRecord) bool { return s.Release.Service == name }) {
			return session.NeverDeployed(name)
		}
	}
	list := statuses(result)
	if slices.ContainsFunc(list, func(s serviceStatus) bool { return s.Pending }) {
		cfg, err := s.Config()
		if err != nil {
			return err
		}
		if dir, err := session.Definitions(cfg); err == nil { // without, the recorded one counts
			settle(list, fleet.Releases(result.Services), dir, func(d servicedef.Service) (servicedef.Service, error) { return s.Resolve(ctx, cfg, d, true) })
		}
	}
	if s.JSON {
		s.PrintJSON(list)
		return nil
	}
	writeStatus(s, list)
	return nil
}

// statuses returns the status of each service, in the order of the services.
func statuses(r reads.StatusResult) []serviceStatus {
	nodes := map[string]seenNode{}
	for name, node := range r.Nodes {
		nodes[name] = seeNode(node, fleet.Releases(r.Services))
	}
	list := make([]serviceStatus, 0, len(r.Services))
	for _, s := range r.Services {
		status := statusOf(s, nodes)
		for i := range status.Components {
			addURLs(status.Service, &status.Components[i], r.Routes)
		}
		list = append(list, status)
	}
	return list
}

// addURLs adds to the routes of a component the URLs at which edges serve them.
func addURLs(service string, c *componentStatus, routes []reads.PublishedRoute) {
	for _, r := range routes {
		if r.Service != service || r.Redirect != "" || !slices.Contains(r.Components, c.Name) {
			continue
		}
		for i := range c.Routes {
			if own := &c.Routes[i]; own.Name == r.Name && r.URL != "" {
				own.URLs = append(own.URLs, r.URL)
				own.URL = own.URLs[0]
			}
		}
	}
}

// seenNode is the answer of a node, prepared once for all services.
type seenNode struct {
	silent     bool // it did not answer
	containers []fleet.Container
}

func seeNode(node reads.NodeContainers, services []fleet.Release) seenNode {
	return seenNode{silent: node.Error != nil, containers: fleet.Recognise(node.Node, node.Containers, services...)}
}

// statusOf compares the release of a service with the containers of its nodes.
func statusOf(s fleet.ServiceRecord, nodes map[string]seenNode) serviceStatus {
	r := s.Release
	status := serviceStatus{
		Service: r.Service, Active: r.Active, Release: r.Number, Deploying: s.Deploying, Lost: s.Lost, Dirty: r.Dirty, Pending: s.Pending,
		Components: []componentStatus{}, Retiring: []retiringStatus{},
	}
	if r.Definition != nil {
		status.Node = r.Definition.Node
	}
	for _, m := range r.Members() {
		c := componentOf(r, m, nodes[m.Node])
		if r.Definition != nil {
			c.Source = r.Definition.Source(m.Image)
		}
		if m.Active && slices.Contains(s.Forbidden, m.Component) {
			c.Drift = append(c.Drift, string(fleet.DriftForbidden))
		}
		status.Components = append(status.Components, c)
	}
	status.Jobs = slices.Sorted(maps.Keys(r.Jobs))
	if s.Deploying == 0 {
		status.Retiring = append(status.Retiring, retiringOf(s, nodes)...)
	}
	return status
}

// retiringOf finds the containers that a release has set aside.
func retiringOf(s fleet.ServiceRecord, nodes map[string]seenNode) (list []retiringStatus) {
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		for _, c := range nodes[node].containers {
			if c.Service == s.Release.Service && strings.HasSuffix(c.Name, fleet.PrevSuffix) {
				list = append(list, retiringStatus{Container: c.Name, Node: node, State: c.State, Since: s.Release.Released})
			}
		}
	}
	return list
}

func componentOf(r fleet.Release, m fleet.Member, node seenNode) componentStatus {
	c := componentStatus{
		Name: m.Component, Container: m.Container, Node: m.Node, Image: m.Image, Digest: m.Digest,
		DesiredState: "running", ObservedState: "missing", Routes: []routeStatus{}, Drift: []string{},
	}
	for _, r := range m.Routes {
		c.Routes = append(c.Routes, routeStatus{Route: r, URLs: []string{}})
	}
	if !m.Active {
		c.DesiredState = "stopped"
	}
	if node.silent {
		c.ObservedState, c.Drift = "unknown", []string{string(fleet.DriftUnreachable)}
		return c
	}
	found := fleet.FindMember(r.Service, m, node.containers)
	if found != nil {
		c.ObservedState, c.Health, c.Restarts = found.State, found.Health, found.Restarts
		if watch.Done(r, m, *found) {
			c.ObservedState = "done"
		}
		if found.Running {
			c.Started, c.UptimeSeconds = found.Started, found.UptimeSeconds
		}
	}
	for _, d := range watch.MemberDrift(r, m, found) {
		c.Drift = append(c.Drift, string(d.Kind))
	}
	return c
}

// writeStatus prints the list for a person.
func writeStatus(s *session.Session, list []serviceStatus) {
	if len(list) == 0 {
		_, _ = fmt.Fprintln(s.Stdout, "no service has been deployed yet")
		return
	}
	table := ui.Table(s.Stdout)
	head := "SERVICE\tRELEASE\tCOMPONENT\tNODE\tSTATE\tUPTIME\tROUTES\tDRIFT"
	if slices.ContainsFunc(list, serviceStatus.sourced) {
		head += "\tCOMMIT"
	}
	_, _ = fmt.Fprintln(table, head)
	for _, service := range list {
		name := service.Service
		if service.Dirty {
			name += " (dirty)"
		}
		release := releaseText(service)
		if len(service.Components) == 0 {
			_, _ = fmt.Fprintf(table, "%s\t%s\t-\t%s\t%s\t\t\t\n", name, release, service.Node, stateWithout(service))
		}
		for _, c := range service.Components {
			row := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", name, release, c.Name, c.Node,
				c.ObservedState, uptime(c.ObservedState, c.UptimeSeconds), routeList(c.Routes), strings.Join(c.Drift, ","))
			if c.Source != nil {
				row += "\t" + sourceText(c.Source)
			}
			_, _ = fmt.Fprintln(table, row)
		}
	}
	_ = table.Flush()
	for _, service := range list {
		for _, r := range service.Retiring {
			since := ""
			if !r.Since.IsZero() {
				since = " since " + ui.Moment(r.Since)
			}
			_, _ = fmt.Fprintf(s.Stdout, "%s: %s on %s, replaced%s, is not gone yet: %s\n", service.Service, r.Container, r.Node, since, r.State)
		}
	}
}

// sourced reports whether the commit of a component is known.
func (s serviceStatus) sourced() bool {
	return slices.ContainsFunc(s.Components, func(c componentStatus) bool { return c.Source != nil })
}

// stateWithout returns the state of a service without components.
func stateWithout(s serviceStatus) string {
	switch {
	case len(s.Jobs) > 0 && !s.Active:
		return "stopped"
	case len(s.Jobs) > 0:
		return "jobs alone"
	case s.Release != 0:
		return "undeployed"
	}
	return "-"
}

// releaseText names the current release and the deployment under way, or lost.
func releaseText(s serviceStatus) string {
	text := "never released"
	if s.Release != 0 {
		text = strconv.Itoa(s.Release)
	}
	if s.Pending && s.Release != 0 {
		text += " (pending)"
	}
	if s.Deploying != 0 {
		text += fmt.Sprintf(" (deploying %d)", s.Deploying)
	}
	if s.Lost != 0 {
		text += fmt.Sprintf(" (%d was lost)", s.Lost)
	}
	return text
}

// routeList renders routes: "rest:8443→23456", and the URL after it if edges serve it.
func routeList(routes []routeStatus) string {
	var list []string
	for _, r := range routes {
		list = append(list, fmt.Sprintf("%s:%d→%d", r.Name, r.Port, r.HostPort))
		list = append(list, r.URLs...)
	}
	return strings.Join(list, " ")
}

// settle clears Pending if a deploy from here would change nothing: the definition was
// changed back, and neither deployed nor recorded since. A service whose tags git
// cannot give is not settled.
func settle(list []serviceStatus, releases []fleet.Release, dir *servicedir.Dir, resolve func(servicedef.Service) (servicedef.Service, error)) {
	for i, r := range releases {
		here, err := dir.Find(r.Service)
		if err != nil || r.Definition == nil || !list[i].Pending {
			continue
		}
		if found, err := resolve(*here); err == nil && found.Hash() == r.Definition.Hash() {
			list[i].Pending = false
		}
	}
}
