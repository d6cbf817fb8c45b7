package fleet

import "slices"

// Adopted is a container that mcp has not started and runs as a component all
// the same. An engine adds no label to a container that exists, so the registry
// keeps, by the container's id, what its labels would say. No other container
// ever has that id: whatever takes its name is somebody else's.
type Adopted struct {
	ID        string `json:"id"`
	Node      string `json:"node"`
	Service   string `json:"service"`
	Component string `json:"component"`
	// Deployment is the number of the deployment that adopted it.
	Deployment int    `json:"deployment"`
	Spec       string `json:"spec"`
}

// AdoptedOn are the adopted containers of the service on a node: those of the
// release, and those that a successor has replaced and that may still be there.
func (r Release) AdoptedOn(node string) []Adopted {
	var list []Adopted
	for _, a := range r.Adopted {
		if a.Node == node {
			list = append(list, a)
		}
	}
	return list
}

// Recognise gives the containers of a node that the services have adopted the
// labels that they would bear.
func Recognise(node string, containers []ObservedContainer, services ...Release) []ObservedContainer {
	known := map[string]Adopted{}
	for _, s := range services {
		for _, a := range s.AdoptedOn(node) {
			known[a.ID] = a
		}
	}
	recognised := slices.Clone(containers)
	for i := range recognised {
		c := &recognised[i]
		if a, adopted := known[c.ID]; adopted {
			c.Service, c.Component, c.Deployment, c.Spec = a.Service, a.Component, a.Deployment, a.Spec
		}
	}
	return recognised
}
