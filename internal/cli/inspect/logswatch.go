package inspect

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/reads"
)

// watchPause is about the time between two reads of a service's deploys. Each is one call to
// Temporal, and starts no workflow.
const watchPause = 4 * time.Second

// watch follows the components of a target through deploys: those that are new, those that
// have moved to another node, and those that are gone. It ends when none is left.
func (f *streamed) watch(ctx context.Context, of *target) {
	for len(of.tails) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-of.hints:
		case <-time.After(watchPause/2 + rand.N(watchPause)):
		}
		state, err := f.gateway.deployed(ctx, of.Service)
		if err == nil && state != of.known && f.find(ctx, of) {
			of.known = state
		}
	}
}

// find asks where the components are, and follows them there. It reports whether there was
// an answer.
func (f *streamed) find(ctx context.Context, of *target) bool {
	gone := "it is no component of the release any more"
	found, err := f.gateway.where(ctx, of.LogsInput)
	if err != nil && (ctx.Err() != nil || exit.FaultOf(err).Kind != fault.NotFound) {
		return false // the next round asks again
	}
	if err != nil {
		gone, found.Logs = exit.FaultOf(err).Message, nil
	}
	at := map[string]reads.ComponentLogs{}
	for _, l := range found.Logs {
		if found.Run != nil {
			break // the name is that of a step or a job now
		}
		at[l.Component] = l
	}
	for _, component := range slices.Sorted(maps.Keys(of.tails)) {
		t := of.tails[component]
		now, stays := at[component]
		switch {
		case !stays:
			f.say(t, "%s", gone)
		case now.Node != t.at.Node:
			f.say(t, "it has moved from %s to %s", t.at.Node, now.Node)
		default:
			continue
		}
		f.leave(t)
		delete(of.tails, component)
	}
	for _, component := range slices.Sorted(maps.Keys(at)) {
		if of.tails[component] != nil {
			continue
		}
		t := newTail(of.Service, at[component], of)
		of.tails[component] = t
		f.widen(of.Service, at)
		f.say(t, "it is followed on %s", t.at.Node)
		f.start(ctx, t)
	}
	return true
}

// widen makes room for the names of the components of a service.
func (f *streamed) widen(service string, at map[string]reads.ComponentLogs) {
	f.mu.Lock()
	defer f.mu.Unlock()
	several := len(at)
	if f.show.services {
		several = 2
	}
	for component := range at {
		f.show.add(service, component, several)
	}
}
