package servicedef

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// ContainerNameFor is the name of a component's container: "shop-api", or
// just "shop" for the component that is named like its service.
func ContainerNameFor(service, component string) string {
	if service == component {
		return service
	}
	return service + "-" + component
}

// SplitContainerName is the inverse of ContainerNameFor. As both names may
// hold a "-", it goes by the services that are known, the longest first, and
// only then by the first "-" in the name. A name without one is a service's
// own.
func SplitContainerName(name string, services []string) (service, component string) {
	if slices.Contains(services, name) {
		return name, name
	}
	longest := slices.Clone(services)
	slices.SortFunc(longest, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, s := range longest {
		if component, ok := strings.CutPrefix(name, s+"-"); ok && component != s {
			return s, component
		}
	}
	service, component, ok := strings.Cut(name, "-")
	if !ok || service == component {
		// "a-a" cannot be component a of service a, whose name is "a".
		return name, name
	}
	return service, component
}

// Component is the component of that name, if there is one.
func (s Service) Component(name string) (Component, bool) {
	for _, c := range s.Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// Hash is a SHA-256, in hex, of all that the definition says, and not of the
// file that says it.
func (s Service) Hash() string {
	s.File = ""
	text, err := json.Marshal(s)
	if err != nil {
		// Only a number that is none can do this, which Parse refuses.
		panic(fmt.Sprintf("encode service %s: %v", s.Name, err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
