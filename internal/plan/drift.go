package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DriftKind says in which way something is not as it should be.
type DriftKind string

// The ways in which a component's container can differ from its release …
const (
	DriftMissing    DriftKind = "missing"     // it is not there
	DriftRenamed    DriftKind = "renamed"     // it is there under another name
	DriftStopped    DriftKind = "stopped"     // it does not run, and should
	DriftRunning    DriftKind = "running"     // it runs, and should not
	DriftWrongImage DriftKind = "wrong-image" // it was made from another image
	DriftReplaced   DriftKind = "replaced"    // its labels are not those of the release's
	DriftFlapping   DriftKind = "flapping"    // it is restarted again and again
	DriftUnhealthy  DriftKind = "unhealthy"   // the engine's own health check fails
)

// … and those of a node. The end of unreachable is an event of its own kind,
// DriftBack.
const (
	DriftOrphan      DriftKind = "orphan"      // a container with mcp's labels that no release names
	DriftUnreachable DriftKind = "unreachable" // the node has not answered twice in a row
	DriftBack        DriftKind = "back"
	DriftDisk        DriftKind = "disk"   // a file system, podman's or a volume's, is nearly full
	DriftMemory      DriftKind = "memory" // nearly all of the memory is in use
)

const (
	// flaps is how many restarts within FlapWindow are too many.
	flaps = 3
	// FlapWindow is how long a restart counts.
	FlapWindow = 10 * time.Minute
	// A disk or the memory is nearly full from the first of these percentages
	// on, and until it falls below the second: else one that stays at the limit
	// would make an event at each look.
	fullFrom, fullUntil = 90, 85
)

// Drift is one way in which something is not as it should be.
type Drift struct {
	Kind DriftKind `json:"kind"`
	// Service and Component are "" for what is about the whole node.
	Service   string `json:"service,omitempty"`
	Component string `json:"component,omitempty"`
	Container string `json:"container,omitempty"`
	// Path is the mount point of a file system; "" for podman's own, and where
	// it is about none.
	Path string `json:"path,omitempty"`
	// Detail is for a person.
	Detail string `json:"detail,omitempty"`
}

// Subject is what a drift is about, for a person: "shop/api", a container, or
// "-" for the node itself.
func (d Drift) Subject() string {
	switch {
	case d.Kind == DriftOrphan:
		return d.Container
	case d.Service != "":
		return d.Service + "/" + d.Component
	}
	return "-"
}

// is reports whether two are the same drift, seen at different times.
func (d Drift) is(other Drift) bool {
	d.Detail, other.Detail = "", ""
	return d == other
}

// FindMember is the container that a component of a release has: the one under
// its name, or else the one that its deployment made; nil if there is neither.
func FindMember(service string, m ReleaseMember, containers []ObservedContainer) *ObservedContainer {
	i := slices.IndexFunc(containers, func(c ObservedContainer) bool { return c.Name == m.Container })
	if i < 0 {
		i = slices.IndexFunc(containers, func(c ObservedContainer) bool {
			return c.Service == service && c.Component == m.Component && c.Deployment == m.Deployment
		})
	}
	if i < 0 {
		return nil
	}
	return &containers[i]
}

// MemberDrift is how a component's container differs from what was released;
// none means that it does not. Found is nil where there is no such container.
func MemberDrift(service string, m ReleaseMember, found *ObservedContainer) []Drift {
	var drift []Drift
	note := func(kind DriftKind, format string, args ...any) {
		drift = append(drift, Drift{
			Kind: kind, Service: service, Component: m.Component, Container: m.Container, Detail: fmt.Sprintf(format, args...),
		})
	}
	switch {
	case !m.Active && found != nil && found.Running:
		note(DriftRunning, "it was stopped on purpose")
		return drift
	case !m.Active:
		return nil
	case found == nil:
		note(DriftMissing, "there is no such container")
		return drift
	}
	if found.Name != m.Container {
		note(DriftRenamed, "it is called %s", found.Name)
	}
	if found.Digest != m.Digest && !strings.HasSuffix(found.Image, "@"+m.Digest) {
		note(DriftWrongImage, "it runs %s, not %s", found.Image, m.Image)
	} else if found.Deployment != m.Deployment || found.Spec != m.Spec {
		note(DriftReplaced, "deployment %d did not make it", m.Deployment)
	}
	flapping := len(found.Restarted) >= flaps
	if flapping { // then it runs or not, by chance
		note(DriftFlapping, "%d restarts within %s", len(found.Restarted), FlapWindow)
	}
	if !found.Running && !flapping {
		note(DriftStopped, "%s", doing(*found))
	}
	if found.Running && found.Health == "unhealthy" {
		note(DriftUnhealthy, "its health check fails")
	}
	return drift
}

// doing says what a container that does not run is doing.
func doing(c ObservedContainer) string {
	switch c.State {
	case "stopped":
		return fmt.Sprintf("exited with code %d", c.ExitCode)
	case "created":
		return "it has never been started"
	}
	return "it is paused, or about to stop"
}

// FindDrift is all that is not as it should be on a node. Services are those
// that have to do with it; busy are those whose containers are being changed,
// of which nothing can be said. Open is what was found before.
func FindDrift(o Observation, services []ServiceRecord, busy map[string]bool, open []OpenDrift) []Drift {
	if o.Counts() {
		return []Drift{{Kind: DriftUnreachable, Detail: o.Problem}}
	}
	if o.Problem != "" {
		return nil
	}
	var found []Drift
	o.Containers = Recognise(o.Node, o.Containers, Releases(services)...)
	for _, s := range services {
		for _, m := range s.Release.Members() {
			if m.Node != o.Node || busy[s.Release.Service] {
				continue
			}
			found = append(found, MemberDrift(s.Release.Service, m, FindMember(s.Release.Service, m, o.Containers))...)
		}
	}
	orphans := orphansOn(o.Node, o.Containers, services, busy)
	for _, c := range o.Containers {
		if orphans[c.Name] {
			found = append(found, Drift{
				Kind: DriftOrphan, Service: c.Service, Component: c.Component, Container: c.Name,
				Detail: fmt.Sprintf("of deployment %d, which is not what should run", c.Deployment),
			})
		}
	}
	if s := o.Status; s != nil {
		found = append(found, fullness(Drift{Kind: DriftDisk}, s.Storage, s.Disk, open)...)
		for _, d := range s.Disks {
			found = append(found, fullness(Drift{Kind: DriftDisk, Path: d.Path}, d.Path, d.Usage, open)...)
		}
		found = append(found, fullness(Drift{Kind: DriftMemory}, "memory", s.Memory, open)...)
	}
	return found
}

// fullness is the drift where nearly all of what is in use.
func fullness(d Drift, what string, u Usage, open []OpenDrift) []Drift {
	limit := fullFrom
	if slices.ContainsFunc(open, func(known OpenDrift) bool { return known.is(d) }) {
		limit = fullUntil
	}
	percent := u.Percent()
	if percent < float64(limit) {
		return nil
	}
	d.Detail = fmt.Sprintf("%s: %.0f %% of %.1f GiB is in use", what, percent, float64(u.Total)/(1<<30))
	return []Drift{d}
}

// Events are what a look at a node tells anew: each drift that it found and
// that was not open, and the end of each that was open and that it did not
// find. An end is told only of what the look can speak for: of no container of
// a node that did not answer, and of no service that is busy. Still is what is
// open from now on.
func Events(o Observation, found []Drift, busy map[string]bool, open []OpenDrift) (events []Event, still []OpenDrift) {
	for _, known := range open {
		if o.Problem != "" || busy[known.Service] || slices.ContainsFunc(found, known.is) {
			still = append(still, known)
			continue
		}
		ended := Event{At: o.At, Node: o.Node, Drift: known.Drift, Ended: true, Since: known.Since}
		if ended.Kind == DriftUnreachable {
			ended.Kind = DriftBack
		}
		events = append(events, ended)
	}
	for _, d := range found {
		if slices.ContainsFunc(open, func(known OpenDrift) bool { return known.is(d) }) {
			continue
		}
		since := o.At
		if d.Kind == DriftUnreachable {
			since = o.Unanswered
		}
		still = append(still, OpenDrift{Drift: d, Since: since})
		events = append(events, Event{At: o.At, Node: o.Node, Drift: d, Since: since})
	}
	return events, still
}

// Restarts is when the restarts of a container were noticed that count at now,
// given how it was found before; nil if it was not. A restart that is not the
// engine's own shows in when the container was started.
func Restarts(before *ObservedContainer, c ObservedContainer, now time.Time) []time.Time {
	if before == nil {
		return nil
	}
	noticed := slices.DeleteFunc(slices.Clone(before.Restarted), func(t time.Time) bool { return now.Sub(t) >= FlapWindow })
	n := c.Restarts - before.Restarts
	const same = time.Millisecond // the registry keeps a time less exactly than the engine
	if n <= 0 && !before.Started.IsZero() && c.Started.Sub(before.Started) > same {
		n = 1
	}
	for range min(n, flaps) {
		noticed = append(noticed, now)
	}
	return noticed[max(0, len(noticed)-flaps):]
}
