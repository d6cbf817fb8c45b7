package activities

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// knowing is an engine that knows adopted containers: by their ids it gives
// them the labels that they would bear had mcp started them. So nothing beyond
// it has to tell the two kinds apart.
func knowing(engine runtime.Runtime, adopted []plan.Adopted) runtime.Runtime {
	if len(adopted) == 0 {
		return engine
	}
	return known{engine, adopted}
}

type known struct {
	runtime.Runtime
	adopted []plan.Adopted
}

// Inspect describes one container.
func (k known) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	info, err := k.Runtime.Inspect(ctx, name)
	return k.labelled(info), err
}

// List describes the containers that bear the labels, or would.
func (k known) List(ctx context.Context, labels map[string]string) ([]runtime.ContainerInfo, error) {
	infos, err := k.Runtime.List(ctx, labels)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for i := range infos {
		listed[infos[i].ID] = true
		infos[i] = k.labelled(infos[i])
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
		if bears(info.Labels, labels) {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b runtime.ContainerInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// labelled gives an adopted container its labels.
func (k known) labelled(info runtime.ContainerInfo) runtime.ContainerInfo {
	i := slices.IndexFunc(k.adopted, func(a plan.Adopted) bool { return a.ID == info.ID })
	if i < 0 {
		return info
	}
	a, labels := k.adopted[i], maps.Clone(info.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[runtime.LabelService], labels[runtime.LabelComponent] = a.Service, a.Component
	labels[runtime.LabelDeployment], labels[runtime.LabelSpec] = strconv.Itoa(a.Deployment), a.Spec
	info.Labels = labels
	return info
}

func bears(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if has, found := labels[key]; !found || value != "" && has != value {
			return false
		}
	}
	return true
}

// Candidate is what an adoption needs to know of a container.
func Candidate(c runtime.ContainerInfo) plan.Candidate {
	candidate := plan.Candidate{ObservedContainer: Seen(c)}
	for _, p := range c.Ports {
		candidate.Ports = append(candidate.Ports, servicedef.Port{
			IP: p.HostIP, Host: p.HostPort, Container: p.ContainerPort, Protocol: p.Protocol,
		})
	}
	return candidate
}
