package activities

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// knowing is an engine that knows adopted containers: by their ids it gives
// them the labels that they would bear had mcp started them, in Inspect and
// Summaries. So no step has to tell the two kinds apart.
func knowing(engine runtime.Runtime, adopted []fleet.Adopted) runtime.Runtime {
	if len(adopted) == 0 {
		return engine
	}
	return known{engine, adopted}
}

type known struct {
	runtime.Runtime
	adopted []fleet.Adopted
}

// Inspect describes one container.
func (k known) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	info, err := k.Runtime.Inspect(ctx, name)
	info.Labels = k.labels(info.ID, info.Labels)
	return info, err
}

// Summaries are of the containers that are selected, or would be.
func (k known) Summaries(ctx context.Context, s runtime.Selection) ([]runtime.ContainerSummary, error) {
	summaries, err := k.Runtime.Summaries(ctx, s)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for i, c := range summaries {
		listed[c.ID] = true
		summaries[i].Labels = k.labels(c.ID, c.Labels)
	}
	for _, a := range k.adopted {
		if listed[a.ID] {
			continue
		}
		info, err := k.Inspect(ctx, a.ID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.Selects(info.Name, info.Labels) {
			summaries = append(summaries, info.Summary())
		}
	}
	slices.SortFunc(summaries, func(a, b runtime.ContainerSummary) int { return strings.Compare(a.Name, b.Name) })
	return summaries, nil
}

// labels are those of a container, and where it is adopted those that it would
// bear.
func (k known) labels(id string, own map[string]string) map[string]string {
	i := slices.IndexFunc(k.adopted, func(a fleet.Adopted) bool { return a.ID == id })
	if i < 0 {
		return own
	}
	a, labels := k.adopted[i], maps.Clone(own)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[runtime.LabelService], labels[runtime.LabelComponent] = a.Service, a.Component
	labels[runtime.LabelDeployment], labels[runtime.LabelSpec] = strconv.Itoa(a.Deployment), a.Spec
	return labels
}
