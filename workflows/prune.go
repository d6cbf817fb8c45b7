package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities"
)

// prune begins to remove the images that this release has made stale. It is
// housekeeping: what fails is named again by the next releases, and this one has
// succeeded nonetheless. The nodes follow the builder, because one podman may be
// both, and two that remove two names of one image at the same time can leave it
// there without a name. The builder is first, because a command line that is the
// builder waits for it.
func (d *deploy) prune(ctx workflow.Context) *group {
	g := newGroup(ctx)
	g.do(func(ctx workflow.Context) error {
		first := newGroup(ctx)
		if d.built { // else the builder may be away
			d.pruneOn(first, activities.QueueBuild(d.in.Builder), "builder "+d.in.Builder, builder.PruneImages, d.stale.Tags)
		}
		_ = first.wait(ctx) // its handlers return no error
		nodes := newGroup(ctx)
		for _, name := range workflow.DeterministicKeys(d.nodes) {
			if d.reachable(name) {
				d.pruneOn(nodes, activities.QueueNode(name), name, node.PruneImages, d.stale.Digests)
			}
		}
		return nodes.wait(ctx)
	})
	return g
}

// pruneOn removes images from a node or a builder.
func (d *deploy) pruneOn(g *group, queue, place string, prune any, images []string) {
	if len(images) == 0 {
		return
	}
	step := pruneStep(g.context(), queue, "prune images on "+place)
	g.add(workflow.ExecuteActivity(step, prune, activities.PruneImagesInput{
		Service: d.desired.Name, Deployment: d.number, Run: d.runID, Images: images,
	}), func(f workflow.Future) error {
		if err := f.Get(g.context(), nil); err != nil {
			workflow.GetLogger(g.context()).Warn("stale images are not removed", "on", place, "error", err)
		}
		return nil
	})
}
