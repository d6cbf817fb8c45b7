package workflows

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/workflows/call"
)

// silentTimeout is how long an edge tries to reach a node that does not answer it.
const silentTimeout = 20 * time.Second

// reach fails if an edge cannot connect to a new container. An edge that does not answer
// is passed over.
func (d *deploy) reach(ctx workflow.Context) error {
	if len(d.release.Edges) == 0 || !d.desired.AtEdges() {
		return nil
	}
	g := call.NewGroup(ctx)
	for _, e := range d.release.Edges {
		if len(d.newUpstreams(e.Machine)) == 0 || slices.Contains(d.away, e.Name) {
			continue
		}
		g.Go(func(ctx workflow.Context) error { return d.reachFrom(ctx, e) })
	}
	return g.Wait(ctx)
}

// reachFrom makes one edge connect to the new containers. It asks again if no host answers,
// because the node may be away for a moment, and, if a boot has ended the containers, when
// they run again.
func (d *deploy) reachFrom(ctx workflow.Context, at fleet.EdgeHost) error {
	name, upstreams := at.Name, d.newUpstreams(at.Machine)
	deadline := workflow.Now(ctx).Add(silentTimeout)
	for {
		ran := maps.Clone(d.ran)
		var result onedge.ReachUpstreamsResult
		switch err := call.AskEdge(ctx, name, "reach the new containers from "+name, 0, edge.ReachUpstreams, upstreams, &result); {
		case call.IsCancelled(err):
			return err
		case err != nil:
			workflow.GetLogger(ctx).Warn("edge is passed over", "edge", name, "error", err)
			return nil
		}
		waits := len(result.Silent) > 0 && len(result.Silent) == len(result.Problems) && workflow.Now(ctx).Before(deadline)
		if waits {
			if err := workflow.Sleep(ctx, time.Second); err != nil {
				return err
			}
			upstreams = result.Silent
			continue
		}
		cause := d.unreached(name, upstreams, result)
		if cause == nil {
			return nil
		}
		if again, err := d.bootedSince(ctx, cause, ran[cause.Component]); err != nil || !again {
			return cmp.Or(err, error(cause))
		}
		upstreams = d.newUpstreams(at.Machine)
	}
}

// bootedSince reports whether the node of a container that does not answer was booted since
// the container was healthy, and runs the node's new containers again. If two edges find the
// same, only one of them does so.
func (d *deploy) bootedSince(ctx workflow.Context, cause *fault.Error, healthy onnode.RunContainerResult) (bool, error) {
	if _, ran := d.ran[cause.Component]; !ran {
		return false, nil
	}
	if err := d.reviving.Lock(ctx); err != nil {
		return false, err
	}
	defer d.reviving.Unlock()
	if d.ran[cause.Component].Boot == healthy.Boot {
		if err := d.startAgain(ctx, map[string]onnode.CutOverInput{cause.Node: {}}); err != nil {
			return false, err
		}
	}
	return d.ran[cause.Component].Boot != healthy.Boot, nil
}

// newUpstreams are the addresses of the new containers to which an edge on that machine
// will connect. No answer shows whether one of udp is open.
func (d *deploy) newUpstreams(machine fleet.Machine) []string {
	connected := func(source fleet.PublicationSource) []string {
		p, _ := fleet.Publication{Routes: publication.Routes(source)}.From(machine)
		p.Routes = slices.DeleteFunc(p.Routes, func(r fleet.EdgeRoute) bool { return r.Endpoint.Protocol == fleet.ProtocolUDP })
		return p.Upstreams()
	}
	before := connected(publication.Released(d.release))
	return slices.DeleteFunc(connected(d.source()), func(u string) bool { return slices.Contains(before, u) })
}

// source is what the publication will be made from when the deploy is committed.
func (d *deploy) source() fleet.PublicationSource {
	return publication.Following(d.release, &d.desired, plan.Members(d.desired, d.release, d.plan, d.members))
}

// unreached is the fault of the first upstream to which an edge could not connect.
func (d *deploy) unreached(name string, upstreams []string, result onedge.ReachUpstreamsResult) *fault.Error {
	for _, u := range upstreams {
		problem, failed := result.Problems[u]
		if !failed {
			continue
		}
		kind := fault.Unhealthy
		if slices.Contains(result.Silent, u) {
			kind = fault.Unavailable
		}
		f := fault.New(kind, "edge %s does not reach the new container at %s: %s", name, u, fleet.Text(problem, 1024))
		if m, found := publication.MemberAt(d.source(), u); found {
			f.Message = "edge " + name + " does not reach " + m.Component + " at " + u + " on " + m.Node + ": " + fleet.Text(problem, 1024)
			f.Node, f.Component = m.Node, m.Component
			f = f.WithHint("publish the routes of %s on an address that %s reaches: [node] publish in the mcp.toml of its worker", m.Node, name)
		}
		return f
	}
	return nil
}
