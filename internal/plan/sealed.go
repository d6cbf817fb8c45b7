package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// sealed fails when the node of a new container cannot have its secrets.
func (p *planner) sealed(c servicedef.Component) error {
	for _, reference := range c.ComposedNames() {
		if _, own := c.Versions[reference]; !own {
			return &UnsetSecretError{Component: c.Name, Service: p.Desired.Name, Secret: reference}
		}
	}
	for _, reference := range c.Versions.Names() {
		v := c.Versions[reference]
		failed := &SealedError{Component: c.Name, Node: c.Node, Service: p.Desired.Name, Secret: v.Name, Version: v.Version}
		kept, found := p.Release.Secrets[v.Name].Versions[v.Version]
		node := p.Nodes[c.Node]
		switch {
		case !found:
			failed.Gone = true
			return failed
		case node.Refuses != "":
			failed.Refused, failed.Hint = node.Refuses, node.RefusesHint
			return failed
		case !slices.Contains(kept.Nodes, c.Node):
			return failed
		}
	}
	return nil
}

// fits fails if the sealed secrets of some components cannot travel together. User is
// the only one of them, if it is a job or a step.
func (p *planner) fits(user string, components ...servicedef.Component) error {
	e := &SealedSizeError{Service: p.Desired.Name, User: user, Limit: fleet.MaxSealed}
	for _, c := range components {
		versions := map[servicedef.SecretVersion]bool{}
		for _, reference := range c.Versions.Names() {
			v := c.Versions[reference]
			if versions[v] {
				continue // two names of one secret
			}
			versions[v] = true
			size := p.Release.Secrets[v.Name].Versions[v.Version].Size
			e.Size += size
			i := slices.IndexFunc(e.Largest, func(s SealedSize) bool { return s.Secret == v.Name && s.Bytes == size })
			if i < 0 {
				i = len(e.Largest)
				e.Largest = append(e.Largest, SealedSize{Secret: v.Name, Bytes: size})
			}
			e.Largest[i].Users = append(e.Largest[i].Users, c.Name)
		}
	}
	if e.Size <= e.Limit {
		return nil
	}
	slices.SortStableFunc(e.Largest, func(a, b SealedSize) int { return cmp.Compare(b.Bytes*len(b.Users), a.Bytes*len(a.Users)) })
	return e
}

// SealedError reports that a plan would start a container on a node that cannot have a
// version of a secret.
type SealedError struct {
	Component, Node string
	// Service, Secret and Version name the version.
	Service, Secret string
	Version         int
	// Gone is set if the version is not kept any more.
	Gone bool
	// Refused is why the node takes no secrets, or not this one, and Hint what to do; both
	// are "" if the version is not sealed to it.
	Refused, Hint string
}

func (e *SealedError) Error() string {
	needs := fmt.Sprintf("component %s needs version %d of the secret %s/%s", e.Component, e.Version, e.Service, e.Secret)
	switch {
	case e.Gone:
		return needs + ", which is not kept any more"
	case e.Refused != "":
		return needs + ": " + e.Refused
	}
	return fmt.Sprintf("%s on node %s, to whose key it is not sealed", needs, e.Node)
}

// UnsetSecretError reports that a value of env contains a secret that the service does not
// have. The value of one that podman has cannot be read.
type UnsetSecretError struct {
	Component, Service, Secret string
}

func (e *UnsetSecretError) Error() string {
	return fmt.Sprintf("a variable of component %s has the secret %s in its value, and service %s has none of that name", e.Component, e.Secret, e.Service)
}

// SealedSizeError reports that the sealed secrets that travel together are too large.
type SealedSizeError struct {
	Service string
	// User is the job or the step that has them; "" if they are those of all other
	// components together.
	User string
	// Size is how many bytes they take, and Limit how many they may take.
	Size, Limit int
	// Largest are the secrets that take most of it, the largest first.
	Largest []SealedSize
}

// SealedSize is how large a secret is on its way.
type SealedSize struct {
	Secret string
	// Bytes is the size of one envelope, and Users who gets one.
	Bytes int
	Users []string
}

func (e *SealedSizeError) Error() string {
	of := "the components of " + e.Service + " get"
	if e.User != "" {
		of = e.User + " gets"
	}
	var largest []string
	for _, s := range e.Largest[:min(3, len(e.Largest))] {
		largest = append(largest, fmt.Sprintf("%s (%s, for %s)", s.Secret, kib(s.Bytes), strings.Join(s.Users, " and ")))
	}
	return fmt.Sprintf("%s %s of sealed secrets, counted once for each that gets one: at most %s can travel together; the largest are %s",
		of, kib(e.Size), kib(e.Limit), strings.Join(largest, ", "))
}

// kib is a size in words, rounded up.
func kib(bytes int) string { return fmt.Sprintf("%d KiB", (bytes+1023)>>10) }
