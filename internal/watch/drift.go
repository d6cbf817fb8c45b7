package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
)

const (
	// flaps is how many restarts within FlapWindow are too many.
	flaps = 3
	// FlapWindow is how long a restart counts.
	FlapWindow = 10 * time.Minute
	// A disk or the memory is nearly full from the first of these percentages on,
	// until it falls below the second: otherwise one that stays at the limit would
	// cause an event at each observation.
	fullFrom, fullUntil = 90, 85
)

// MemberDrift returns how a component's container differs from what was released;
// none if it does not. Found is nil if there is no such container.
func MemberDrift(r fleet.Release, m fleet.Member, found *fleet.Container) []fleet.Drift {
	var drift []fleet.Drift
	note := func(kind fleet.DriftKind, format string, args ...any) {
		drift = append(drift, fleet.Drift{
			Kind: kind, Service: r.Service, Component: m.Component, Container: m.Container, Detail: fmt.Sprintf(format, args...),
		})
	}
	switch {
	case !m.Active && found != nil && found.Running:
		note(fleet.DriftRunning, "it was stopped on purpose")
		return drift
	case !m.Active:
		return nil
	case found == nil:
		note(fleet.DriftMissing, "there is no such container")
		return drift
	}
	if found.Name != m.Container {
		note(fleet.DriftRenamed, "it is called %s", found.Name)
	}
	if found.Digest != m.Digest && !strings.HasSuffix(found.Image, "@"+m.Digest) {
		note(fleet.DriftWrongImage, "it runs %s, not %s", found.Image, m.Image)
	} else if !m.CreatedBy(found.Deployment, found.Run) || found.Spec != m.Spec {
		note(fleet.DriftReplaced, "deployment %d did not create it", m.Deployment)
	}
	if ports, known := r.Published(m); known && !r.Adopts(found.ID) && found.ID != "" && !slices.Equal(ports, fleet.PortsOf(found.Ports)) {
		note(fleet.DriftWrongPorts, "it publishes %s, not %s", listPorts(found.Ports), listPorts(ports))
	}
	if flapping := len(found.Restarted) >= flaps; flapping { // whether it runs at the moment is chance
		note(fleet.DriftFlapping, "%d restarts within %s", len(found.Restarted), FlapWindow)
		return drift
	}
	if !found.Running && !Done(r, m, *found) {
		note(fleet.DriftStopped, "%s", doing(*found))
	}
	if found.Unnamed != "" && found.Running {
		note(fleet.DriftUnnamed, "%s", found.Unnamed)
	}
	if found.Running && found.Health == "unhealthy" {
		note(fleet.DriftUnhealthy, "its health check fails")
	}
	return drift
}

// Done reports whether a component's container has done its work: it has ended with exit
// code 0, and its definition says that it runs once.
func Done(r fleet.Release, m fleet.Member, found fleet.Container) bool {
	if r.Definition == nil || found.State != "stopped" || found.ExitCode != 0 {
		return false
	}
	c, defined := r.Definition.Component(m.Component)
	return defined && c.RunsOnce()
}

// FindDrift returns the drift of a node. Services are those that concern it. Busy
// are those whose containers are being changed; their drift is unknown. Open is the
// drift that was found before.
func FindDrift(o fleet.Observation, services []fleet.ServiceRecord, busy map[string]bool, open []fleet.OpenDrift) []fleet.Drift {
	if unreachable(o) {
		return []fleet.Drift{{Kind: fleet.DriftUnreachable, Detail: o.Problem}}
	}
	if o.Problem != "" {
		return nil
	}
	var found []fleet.Drift
	o.Containers = fleet.Recognise(o.Node, o.Containers, fleet.Releases(services)...)
	for _, s := range services {
		for _, m := range s.Release.Members() {
			if m.Node != o.Node || busy[s.Release.Service] {
				continue
			}
			found = append(found, MemberDrift(s.Release, m, fleet.FindMember(s.Release.Service, m, o.Containers))...)
			found = append(found, forbidden(s.Release, m, o.Policy)...)
		}
	}
	if o.Policy != nil && o.Policy.Problem != "" {
		found = append(found, fleet.Drift{Kind: fleet.DriftPolicy, Detail: fleet.Text("it lets nothing new run: "+o.Policy.Problem, longestDetail)})
	}
	orphans := orphansOn(o.Node, o.Containers, services, busy)
	for _, c := range o.Containers {
		if orphans[c.Name] {
			found = append(found, fleet.Drift{
				Kind: fleet.DriftOrphan, Service: c.Service, Component: c.Component, Container: c.Name,
				Detail: fmt.Sprintf("deployment %d created it, and no release has it", c.Deployment),
			})
		}
	}
	if s := o.Status; s != nil {
		found = append(found, fullness(fleet.Drift{Kind: fleet.DriftDisk}, s.Storage, s.Disk, open)...)
		for _, d := range s.Disks {
			found = append(found, fullness(fleet.Drift{Kind: fleet.DriftDisk, Path: d.Path}, d.Path, d.Usage, open)...)
		}
		found = append(found, fullness(fleet.Drift{Kind: fleet.DriftMemory}, "memory", s.Memory, open)...)
	}
	return found
}

// forbidden returns the drift of a component that was let run before, and that the policy of
// its node would not let run again. A policy that cannot be used is drift of the node.
func forbidden(r fleet.Release, m fleet.Member, rules *policy.Policy) []fleet.Drift {
	if rules == nil || rules.Problem != "" || r.Definition == nil || !m.Active {
		return nil
	}
	c, defined := r.Definition.Component(m.Component)
	if !defined {
		return nil
	}
	broken := rules.Judge(policy.Subject{Component: c})
	if len(broken) == 0 {
		return nil
	}
	var texts []string
	for _, v := range broken {
		texts = append(texts, v.String())
	}
	return []fleet.Drift{{
		Kind: fleet.DriftForbidden, Service: r.Service, Component: m.Component, Container: m.Container,
		Detail: fleet.Text("it runs on, and would not be let run anew: "+strings.Join(texts, "; "), longestDetail),
	}}
}

// longestDetail bounds the bytes of a detail that contains a node's own words.
const longestDetail = 1024

// unreachable reports whether an observation without an answer makes the node
// unreachable. One alone does not: a worker that is restarted, for example for a new
// version, is away for seconds.
func unreachable(o fleet.Observation) bool { return o.Problem != "" && !o.Unanswered.IsZero() }

// listPorts renders ports for a person.
func listPorts(ports []servicedef.Port) string {
	var texts []string
	for _, p := range ports {
		texts = append(texts, p.String())
	}
	return cmp.Or(strings.Join(texts, ", "), "no port")
}

// doing describes the state of a container that does not run.
func doing(c fleet.Container) string {
	switch c.State {
	case "stopped":
		return fmt.Sprintf("exited with code %d", c.ExitCode)
	case "created":
		return "it has never been started"
	}
	return "it is paused, or about to stop"
}

// fullness returns the drift if nearly all of something is in use.
func fullness(d fleet.Drift, what string, u fleet.Usage, open []fleet.OpenDrift) []fleet.Drift {
	limit := fullFrom
	if slices.ContainsFunc(open, func(o fleet.OpenDrift) bool { return o.Same(d) }) {
		limit = fullUntil
	}
	percent := u.Percent()
	if percent < float64(limit) {
		return nil
	}
	d.Detail = fmt.Sprintf("%s: %.0f %% of %.1f GiB is in use", what, percent, float64(u.Total)/(1<<30))
	return []fleet.Drift{d}
}
