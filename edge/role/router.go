package role

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
)

// Proxy serves requests and connections by the publications that it was given.
type Proxy interface {
	// Publish replaces the publications that are older, and returns the table of all.
	Publish(publications ...fleet.Publication) *table.Table
	// Published returns the publications that it has, by service.
	Published() map[string]fleet.Publication
	// Drain waits until no upstream has a request or a connection, or ctx ends.
	Drain(ctx context.Context, upstreams []string) (remaining map[string]int)
	// Active counts the requests and connections of each upstream that has any.
	Active() map[string]int
}

// Server listens on the ports of a table.
type Server interface {
	// Apply listens on the ports of a table, and no others, and obtains certificates for
	// its hostnames. Problems says what of that failed.
	Apply(t *table.Table) (problems []string)
	// Problems is what has failed, and has not succeeded since: it is tried again.
	Problems() []string
	// Certificates are those of the table's hostnames.
	Certificates() []fleet.Certificate
	// Listening are the ports of this host on which it listens, in ascending order.
	Listening() []int
}

// AccessLogs are the access logs of services.
type AccessLogs interface {
	Read(ctx context.Context, service string, tail int, since time.Time) ([]string, error)
	Problems() []string
}

// RouterOptions configure a Router.
type RouterOptions struct {
	Proxy  Proxy
	Server Server
	Access AccessLogs
	// Data is the directory of the edge.
	Data string
	// Machine is the one of the edge.
	Machine fleet.Machine
	Log     *slog.Logger
}

// Router serves publications and keeps them on disk: it implements onedge.Router.
type Router struct {
	options RouterOptions
	started time.Time
	// ask wakes the loop that asks whether the edge is admitted.
	ask chan struct{}

	mu    sync.Mutex // of all below; held while a table is applied
	files *files
	// damaged are the files that could not be read, by service, and unsaved the
	// publications that could not be written.
	damaged, unsaved map[string]string
	// conflicts are the endpoints that two services publish, a sentence each.
	conflicts []string
	admitted  bool
	unmarked  bool          // the file notAdmitted is as admitted says
	answered  chan struct{} // closed by the next answer to an announcement
}

// NewRouter returns a router that serves the publications on disk, unless this edge was
// not admitted when it last knew. The error is that of a directory that cannot be used:
// a damaged file is a problem of the router's status.
func NewRouter(o RouterOptions) (*Router, error) {
	r := &Router{
		options: o, started: time.Now(), ask: make(chan struct{}, 1),
		unsaved: map[string]string{}, unmarked: true, answered: make(chan struct{}),
	}
	return r, r.Reload()
}

// Publish serves the publications. An edge that is not admitted, as far as it knows,
// first announces itself again: the deploy that publishes to it has newer information. So
// does one to which nothing is published: it may have been removed.
func (r *Router) Publish(ctx context.Context, publications []fleet.Publication) (problems []string) {
	if !r.awaitAdmission(ctx, len(publications) == 0) {
		return []string{"the edge does not know yet that it is admitted, and serves nothing"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.publish(publications)
}

// awaitAdmission reports whether the edge is admitted. If it is not, or must make sure,
// it asks once more.
func (r *Router) awaitAdmission(ctx context.Context, sure bool) bool {
	r.mu.Lock()
	admitted, answered := r.admitted, r.answered
	r.mu.Unlock()
	if admitted && !sure {
		return true
	}
	r.wake()
	select {
	case <-answered:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.admitted
}

// wake makes the edge announce itself soon.
func (r *Router) wake() {
	select {
	case r.ask <- struct{}{}:
	default: // it will
	}
}

// Answer is what the control plane has said to an announcement. A service that it does
// not name is served as before.
func (r *Router) Answer(answer fleet.EdgeAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if changed := r.admitted != answer.Admitted; changed || !r.unmarked {
		r.admitted = answer.Admitted
		err := mark(filepath.Join(r.options.Data, notAdmitted), !answer.Admitted)
		if err != nil {
			r.options.Log.Error("cannot record whether this edge is admitted", "error", err)
		}
		r.unmarked = err == nil
	}
	r.publish(answer.Publications)
	close(r.answered)
	r.answered = make(chan struct{})
}

// Refuse stops serving, for good: the edge's name belongs to another key.
func (r *Router) Refuse() { r.Answer(fleet.EdgeAnswer{}) }

// Mend writes the publications that could not be written.
func (r *Router) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unsaved) > 0 {
		r.save()
	}
}

// Reload reads the publications on disk again, and serves those that are newer: another
// process on the same directory has written until now.
func (r *Router) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	marked, err := isMarked(filepath.Join(r.options.Data, notAdmitted))
	if err != nil {
		return fmt.Errorf("find whether this edge is admitted: %w", err)
	}
	kept, publications, damaged, err := openFiles(filepath.Join(r.options.Data, "publications"))
	if err != nil {
		return err
	}
	r.files, r.damaged, r.admitted = kept, damaged, !marked && len(publications) > 0
	for _, problem := range damaged {
		r.options.Log.Error("publication not read", "problem", problem)
	}
	r.publish(publications)
	return nil
}

// publish routes by the publications, listens, and writes what is not on disk, in this
// order: requests do not wait for the disk. It may be called again at any time.
func (r *Router) publish(publications []fleet.Publication) []string {
	var refused []string
	valid := publications[:0:0]
	for _, p := range publications {
		if err := check(p); err != nil {
			refused = append(refused, "refused: "+err.Error())
			continue
		}
		here, _ := p.From(r.options.Machine)
		valid = append(valid, here)
	}
	t := r.options.Proxy.Publish(valid...)
	if !r.admitted {
		t = &table.Table{}
	}
	r.options.Server.Apply(t)
	r.conflicts = nil
	for _, c := range t.Conflicts() {
		r.conflicts = append(r.conflicts, fmt.Sprintf("%s publishes %s too, which %s serves", c.Ignored, c.Endpoint, c.Served))
	}
	r.save()
	return append(refused, r.allProblems()...)
}

// save writes what is not on disk.
func (r *Router) save() {
	published := r.options.Proxy.Published()
	failed := r.files.save(slices.Collect(maps.Values(published)))
	clear(r.unsaved)
	for service, err := range failed {
		r.unsaved[service] = fmt.Sprintf("the publication of %s is not on disk, and so not acknowledged: %v", service, err)
	}
	for service := range r.damaged {
		if r.files.saved[service] > 0 {
			delete(r.damaged, service)
		}
	}
}

func (r *Router) allProblems() []string {
	all := slices.Concat(r.options.Server.Problems(), r.conflicts, r.unreachable())
	for _, of := range []map[string]string{r.damaged, r.unsaved} {
		for _, service := range slices.Sorted(maps.Keys(of)) {
			all = append(all, of[service])
		}
	}
	return append(all, r.options.Access.Problems()...)
}

// unreachable are the containers that this edge leaves out, a sentence for each service.
func (r *Router) unreachable() []string {
	var problems []string
	published := r.options.Proxy.Published()
	for _, service := range slices.Sorted(maps.Keys(published)) {
		if _, upstreams := published[service].From(r.options.Machine); len(upstreams) > 0 {
			problems = append(problems, fmt.Sprintf("containers of %s at %s are reached from their own host alone: set publish in [node] of its mcp.toml",
				service, strings.Join(upstreams, " and ")))
		}
	}
	return problems
}

// Drain waits until no upstream has a request or a connection, or ctx ends.
func (r *Router) Drain(ctx context.Context, upstreams []string) map[string]int {
	return r.options.Proxy.Drain(ctx, upstreams)
}

// Reach connects to each upstream.
func (r *Router) Reach(ctx context.Context, upstreams []string) onedge.ReachUpstreamsResult {
	return reach(ctx, upstreams)
}

// Status returns what the edge serves. The version of a publication is the one on disk:
// only what outlives a reboot is acknowledged.
func (r *Router) Status(context.Context) fleet.EdgeStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fleet.EdgeStatus{
		Versions:     maps.Clone(r.files.saved),
		Active:       r.options.Proxy.Active(),
		Listening:    r.options.Server.Listening(),
		Certificates: r.options.Server.Certificates(),
		Problems:     r.allProblems(),
		Started:      r.started,
	}
}

// AccessLog returns the last lines of a service's access log.
func (r *Router) AccessLog(ctx context.Context, service string, tail int, since time.Time) ([]string, error) {
	if !isLabel(service) {
		return nil, check(fleet.Publication{Service: service, Version: 1})
	}
	return r.options.Access.Read(ctx, service, cmp.Or(tail, defaultTail), since)
}

// defaultTail is how many lines of an access log are read if no number is given.
const defaultTail = 100

// Admitted reports whether the edge is admitted, as far as it knows.
func (r *Router) Admitted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.admitted
}

// Problems are what keeps the edge from listening on a port, and from keeping its
// publications.
func (r *Router) Problems() (listening, keeping []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.options.Server.Problems(), slices.Sorted(maps.Values(r.unsaved))
}

// Asked receives when the edge should announce itself again.
func (r *Router) Asked() <-chan struct{} { return r.ask }
