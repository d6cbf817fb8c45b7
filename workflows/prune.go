package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/workflows/call"
)

// prune begins to remove the images that this release has made stale. It is
// housekeeping: what fails is named again by the next releases, and this one has
// succeeded nonetheless. The nodes follow the builder, because one podman may be
// both, and two that remove two names of one image at the same time can leave it
// there without a name. The builder is first, because a command line that is the
// builder waits for it.
func (d *deploy) prune(ctx workflow.Context) *call.Group {
	g := call.NewGroup(ctx)
	g.Go(func(ctx workflow.Context) error {
		first := call.NewGroup(ctx)
		if d.built { // else the builder may be away
			d.pruneOn(first, activities.QueueBuild(d.in.Builder), "builder "+d.in.Builder, builder.PruneImages, d.stale.Tags)
		}
		_ = first.Wait(ctx) // its handlers return no error
		nodes := call.NewGroup(ctx)
		for _, name := range workflow.DeterministicKeys(d.nodes) {
			if d.reachable(name) {
				d.pruneOn(nodes, activities.QueueNode(name), name, node.PruneImages, d.stale.Digests)
			}
		}
		return nodes.Wait(ctx)
	})
	return g
}

// pruneOn removes images from a node or a builder.
func (d *deploy) pruneOn(g *call.Group, queue, place string, prune any, images []string) {
	if len(images) == 0 {
		return
	}
	step := call.PruneStep(g.Context(), queue, "prune images on "+place)
	g.Add(workflow.ExecuteActivity(step, prune, activities.PruneImagesInput{
		Service: d.desired.Name, Deployment: d.number, Run: d.runID, Images: images,
	}), func(f workflow.Future) error {
		if err := f.Get(g.Context(), nil); err != nil {
			workflow.GetLogger(g.Context()).Warn("stale images are not removed", "on", place, "error", err)
		}
		return nil
	})
}
