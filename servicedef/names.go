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

// ContainerNameFor returns the name of a component's container: "shop-api", or
// "shop" for the component that has the name of its service.
func ContainerNameFor(service, component string) string {
	if service == component {
		return service
	}
	return service + "-" + component
}

// SplitContainerName is the inverse of ContainerNameFor. Because both names may
// contain a "-", it tries the given services first, the longest first, and only
// then splits at the first "-". A name without one is that of a service and of
// its component.
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
		// "a-a" cannot be component a of service a: that container is "a".
		return name, name
	}
	return service, component
}

// Component returns the component of that name, if there is one.
func (s Service) Component(name string) (Component, bool) {
	for _, c := range s.Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// Hash returns a SHA-256, in hex, of the definition without its File, and with the
// digests of its files instead of their contents, and without versions of secrets.
func (s Service) Hash() string {
	s.File, s.Sources, s.Environment = "", nil, ""
	s = s.WithoutContents()
	if s.HasSecrets() {
		s = s.WithoutSecrets()
	}
	text, err := json.Marshal(s)
	if err != nil {
		// Only a NaN or an infinity can cause this, and Parse refuses both.
		panic(fmt.Sprintf("encode service %s: %v", s.Name, err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// componentNames returns the names in the file's order.
func (s *Service) componentNames() []string {
	names := make([]string, len(s.Components))
	for i, c := range s.Components {
		names[i] = c.Name
	}
	return names
}

// IsLabel reports whether a text is a DNS label, as the names of services and of
// components are.
func IsLabel(name string) bool { return len(name) <= longestLabel && dnsLabel().MatchString(name) }
