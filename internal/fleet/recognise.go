package fleet

import (
	"slices"
	"time"
)

// AdoptedOn returns the adopted containers of the service on a node: those of the
// release, and those that a successor has replaced and that may still be there.
func (r Release) AdoptedOn(node string) []Adopted {
	var list []Adopted
	for _, a := range r.AdoptedAnywhere() {
		if a.Node == node {
			list = append(list, a)
		}
	}
	return list
}

// AdoptedAnywhere returns the adopted containers of the service, each with the stop
// timeout of its component.
func (r Release) AdoptedAnywhere() []Adopted {
	list := slices.Clone(r.Adopted)
	for i := range list {
		if r.Definition == nil {
			break
		}
		if c, defined := r.Definition.Component(list[i].Component); defined {
			list[i].StopTimeout = time.Duration(c.StopTimeout)
		}
	}
	return list
}

// Recognise returns the containers of a node, where those that the services have
// adopted bear the labels that mcp would have given them.
func Recognise(node string, containers []Container, services ...Release) []Container {
	adopted := map[string]Adopted{}
	for _, s := range services {
		for _, a := range s.AdoptedOn(node) {
			adopted[a.ID] = a
		}
	}
	recognised := slices.Clone(containers)
	for i := range recognised {
		c := &recognised[i]
		if a, ok := adopted[c.ID]; ok {
			c.Service, c.Component, c.Deployment, c.Spec = a.Service, a.Component, a.Deployment, a.Spec
		}
	}
	return recognised
}

// FindMember returns the container of a component of a release: the one under its
// name, or else the one that its deployment created; nil if there is neither.
func FindMember(service string, m Member, containers []Container) *Container {
	i := slices.IndexFunc(containers, func(c Container) bool { return c.Name == m.Container })
	if i < 0 {
		i = slices.IndexFunc(containers, func(c Container) bool {
			return c.Service == service && c.Component == m.Component && c.Deployment == m.Deployment
		})
	}
	if i < 0 {
		return nil
	}
	return &containers[i]
}
