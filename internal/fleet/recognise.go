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

// Recognise returns the containers of a node; those that the services have adopted
// get the labels that mcp would have given them.
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
			c.Service, c.Component, c.Deployment, c.Run, c.Spec = a.Service, a.Component, a.Deployment, a.Run, a.Spec
		}
	}
	return recognised
}

// FindMember returns the container of a component of a release: the one that its
// deployment created, under its name if there are two, or else the one that has its
// name; nil if there is neither.
func FindMember(service string, m Member, containers []Container) *Container {
	own := func(c Container) bool {
		return c.Service == service && c.Component == m.Component && m.CreatedBy(c.Deployment, c.Run)
	}
	i := slices.IndexFunc(containers, func(c Container) bool { return c.Name == m.Container && own(c) })
	if i < 0 {
		i = slices.IndexFunc(containers, own)
	}
	if i < 0 {
		i = slices.IndexFunc(containers, func(c Container) bool { return c.Name == m.Container })
	}
	if i < 0 {
		return nil
	}
	return &containers[i]
}
