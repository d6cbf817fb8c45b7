package plan

import (
	"fmt"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
)

// ForeignContainerError reports that a name which the plan needs is held by a
// container that is not this service's: one on the node, or one that the release of
// another service, its Owner, names and that is not there now.
type ForeignContainerError struct {
	Container, Node, Owner string
	Missing                bool
}

func (e *ForeignContainerError) Error() string {
	owner := "was not started by mcp"
	if e.Owner != "" {
		owner = "belongs to service " + e.Owner
	}
	if e.Missing {
		return fmt.Sprintf("container %s on node %s is one of service %s's release", e.Container, e.Node, e.Owner)
	}
	return fmt.Sprintf("container %s exists on node %s and %s", e.Container, e.Node, owner)
}

// DrainingNodeError reports that a plan would start a container on a node that
// gets no new one.
type DrainingNodeError struct {
	Component, Node string
}

func (e *DrainingNodeError) Error() string {
	return fmt.Sprintf("component %s needs a new container on node %s, which is draining", e.Component, e.Node)
}

// MissingSecretError reports that a plan would start a container that needs a secret
// which podman on its node does not have.
type MissingSecretError struct {
	Service, Component, Node, Secret string
}

func (e *MissingSecretError) Error() string {
	return fmt.Sprintf("component %s needs the secret %s, which podman on node %s does not have", e.Component, e.Secret, e.Node)
}

// UnknownKeyError reports that a plan would start a container on a node whose worker is
// too old to know a key of its definition.
type UnknownKeyError struct {
	Component, Node, Key string
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("component %s sets %s, which the mcp of node %s does not know", e.Component, e.Key, e.Node)
}

// ForbiddenError reports that a plan would start a container that the policy of its node
// forbids.
type ForbiddenError struct {
	Component, Node string
	// Policy is what it is called, and Broken are all rules that it would break.
	Policy string
	Broken []policy.Violation
}

func (e *ForbiddenError) Error() string {
	return policy.Sentence("node "+e.Node, e.Policy, "component "+e.Component, e.Broken)
}

// LackingError reports that a plan would start a container on a node whose engine cannot
// apply a setting of its definition.
type LackingError struct {
	Component, Node string
	Lack            Lack
}

func (e *LackingError) Error() string {
	return fmt.Sprintf("component %s sets %s, and the engine of node %s %s", e.Component, e.Lack.Key, e.Node, e.Lack.Reason)
}

// HeldError reports that a plan would start a container that needs a host port or a
// volume of a container that the plan leaves alone.
type HeldError struct {
	Component, Node string
	// Thing is "tcp port 80" or "volume data", Port the port's number.
	Thing string
	Port  int
	// Holder has it: "shop/web".
	Holder string
	// Partial is set if a deploy of the whole service hands it over.
	Partial bool
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("component %s needs %s on node %s, which %s has", e.Component, e.Thing, e.Node, e.Holder)
}

// ClaimedError reports that a definition names an endpoint that another service holds.
type ClaimedError struct {
	Endpoint fleet.Endpoint
	Holder   fleet.EndpointHolder
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s is held by service %s", e.Endpoint, e.Holder.Service)
}

// UnreachableError reports that a node publishes a route, which edges are to serve, on an
// address that an edge on another host cannot reach.
type UnreachableError struct {
	Component, Route, Node, Address, Edge string
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("edge %s cannot reach route %s of component %s: node %s publishes its routes on %s, which other hosts cannot reach",
		e.Edge, e.Route, e.Component, e.Node, e.Address)
}
