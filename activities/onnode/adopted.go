package onnode

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

// labelling returns an engine that gives adopted containers, by their ids, the
// labels and the stop timeout that they would have if mcp had created them, in
// Inspect and Summaries. No step has to distinguish the two kinds.
func labelling(engine runtime.Runtime, adopted []fleet.Adopted) runtime.Runtime {
	if len(adopted) == 0 {
		return engine
	}
	return labelled{engine, adopted}
}

type labelled struct {
	runtime.Runtime
	adopted []fleet.Adopted
}

// Inspect describes one container.
func (l labelled) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	info, err := l.Runtime.Inspect(ctx, name)
	info.Labels = l.labels(info.ID, info.Labels)
	if a, adopted := l.find(info.ID); adopted && a.StopTimeout > 0 {
		info.StopTimeout = a.StopTimeout
	}
	return info, err
}

// Summaries describes the containers that are selected, or would be by those labels.
func (l labelled) Summaries(ctx context.Context, s runtime.Selection) ([]runtime.ContainerSummary, error) {
	summaries, err := l.Runtime.Summaries(ctx, s)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for i, c := range summaries {
		listed[c.ID] = true
		summaries[i].Labels = l.labels(c.ID, c.Labels)
	}
	for _, a := range l.adopted {
		if listed[a.ID] {
			continue
		}
		info, err := l.Inspect(ctx, a.ID)
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

// labels returns the labels of a container and, if it is adopted, those that mcp would
// have given it.
func (l labelled) labels(id string, own map[string]string) map[string]string {
	a, adopted := l.find(id)
	if !adopted {
		return own
	}
	labels := maps.Clone(own)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[runtime.LabelService], labels[runtime.LabelComponent] = a.Service, a.Component
	labels[runtime.LabelDeployment], labels[runtime.LabelRun], labels[runtime.LabelSpec] = strconv.Itoa(a.Deployment), a.Run, a.Spec
	return labels
}

// find returns the adopted container with that id.
func (l labelled) find(id string) (fleet.Adopted, bool) {
	i := slices.IndexFunc(l.adopted, func(a fleet.Adopted) bool { return a.ID == id })
	if i < 0 {
		return fleet.Adopted{}, false
	}
	return l.adopted[i], true
}
