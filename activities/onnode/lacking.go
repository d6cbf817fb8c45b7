package onnode

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// lacking returns err with the component, the node and the way out, if the engine of the
// node lacks an object that the component needs; err itself otherwise.
func (a *Node) lacking(err error, service, component string) error {
	var missing *runtime.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	needs := fmt.Sprintf("component %s needs the %s %s, which podman on node %s does not have", component, missing.What, missing.Name, a.Name)
	var hint string
	switch {
	case missing.What == runtime.MissingNetwork:
		hint = networkHint(a.Name, missing.Name)
	case strings.HasPrefix(missing.Name, managedPrefix+service+"."):
		hint = "make its container again, with its secrets: mcp restart " + service
	default:
		needs = (&plan.MissingSecretError{Service: service, Component: component, Node: a.Name, Secret: missing.Name}).Error()
		hint = MissingSecretHint(service, a.Name, missing.Name)
	}
	f := fault.Wrap(fault.Of(err).Kind, err, "%s", needs).WithHint("%s", hint)
	f.Node, f.Component = a.Name, component
	return f
}

// missingNetworks adds the networks that a component is to be connected to and that the
// engine does not have.
func (a *Node) missingNetworks(ctx context.Context, c servicedef.Component, lacks []runtime.Lack) ([]runtime.Lack, error) {
	for _, network := range c.Networks {
		_, err := a.Runtime.Network(ctx, network.Name)
		switch {
		case fault.Is(err, fault.NotFound):
			lacks = append(lacks, runtime.Lack{Key: "a network", Reason: "has no network " + network.Name, Hint: networkHint(a.Name, network.Name)})
		case err != nil:
			return nil, err
		}
	}
	return lacks, nil
}

// networkHint is the advice for a network that podman on a node does not have.
func networkHint(node, network string) string {
	return fmt.Sprintf("make it on %s: podman network create %s; or correct the network in the definition", node, network)
}

// managedPrefix begins the names of the engine's secrets that mcp makes.
const managedPrefix = "mcp-"

// MissingSecretHint is the advice for a secret that podman on a node does not have.
func MissingSecretHint(service, node, secret string) string {
	return fmt.Sprintf("set it: mcp secret set %s/%s; or make it on %s: podman secret create %s FILE", service, secret, node, secret)
}
