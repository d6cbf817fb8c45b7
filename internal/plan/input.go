package plan

import (
	"sort"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
)

// Node is the survey of one node.
type Node struct {
	// Reachable is false if no worker answered; the rest is then empty.
	Reachable  bool              `json:"reachable"`
	Containers []fleet.Container `json:"containers,omitempty"`
	// MissingSecrets are those that the service needs there and podman does not
	// have.
	MissingSecrets []string `json:"missing_secrets,omitempty"`
	// Refuses is why the node takes no secrets of the service, and RefusesHint what to do;
	// "" if it takes them, or needs none.
	Refuses     string `json:"refuses,omitempty"`
	RefusesHint string `json:"refuses_hint,omitempty"`
	// UnknownKeys are those of the definition that the node's worker does not know.
	UnknownKeys []string `json:"unknown_keys,omitempty"`
	// Lacks is what the node's engine lacks of what the definition asks for, by component.
	Lacks map[string][]Lack `json:"lacks,omitempty"`
	// Policy is what the node's policy is called, and Forbidden which of its rules the
	// definition breaks, by component.
	Policy    string                        `json:"policy,omitempty"`
	Forbidden map[string][]policy.Violation `json:"forbidden,omitempty"`
}

// Input is everything that a plan depends on.
type Input struct {
	Desired servicedef.Service `json:"desired"`
	// Only names the components to deploy; the others are kept. Empty means all.
	Only []string `json:"only,omitempty"`
	// Given is the definition that was asked for, if Desired is a part of it and the
	// release for the rest; nil if they are the same.
	Given *servicedef.Service `json:"given,omitempty"`
	// Force replaces components that have not changed.
	Force   bool          `json:"force,omitempty"`
	Release fleet.Release `json:"release"`
	// Nodes holds the survey of every node of NodesOf.
	Nodes map[string]Node `json:"nodes"`
	// Digests maps each image reference to its digest; "" if the image registry
	// lacks it and it will be built.
	Digests map[string]string `json:"digests"`
	// Held are the holders of the ports of WantedPorts, as far as they are held.
	Held []fleet.PortHolder `json:"held,omitempty"`
	// Holders are those of the endpoints of Desired, as far as they are held.
	Holders []fleet.EndpointHolder `json:"holders,omitempty"`
	// Now is when the plan is made, for the times when jobs are due; zero leaves them out.
	Now time.Time `json:"now,omitzero"`
	// Pinned makes each component run by its digest in the release, whatever Digests
	// holds.
	Pinned bool `json:"pinned,omitempty"`
	// Admitted is set if Desired is the release, and was let run before: policies judge
	// what is new.
	Admitted bool `json:"admitted,omitempty"`
	// Steps are those of Desired that the deploy runs, in their order.
	Steps []servicedef.Step `json:"run_steps,omitempty"`
}

// Lack is a setting that the engine of a node cannot apply.
type Lack struct {
	Key string `json:"key"`
	// Reason completes "the engine of rift …".
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

// NodesOf returns the nodes to survey before a plan. Required are those that the
// definition names: they must answer. Optional are those that hold containers to
// replace or remove, or may hold leftovers.
func NodesOf(desired servicedef.Service, release fleet.Release) (required, optional []string) {
	need := map[string]bool{}
	for _, c := range desired.Components {
		need[c.Node] = true
	}
	left := release.Touched
	for _, m := range release.Members() {
		left = append(left, m.Node)
	}
	for _, name := range left {
		if _, known := need[name]; !known {
			need[name] = false
		}
	}
	for name, must := range need {
		if must {
			required = append(required, name)
		} else {
			optional = append(optional, name)
		}
	}
	sort.Strings(required)
	sort.Strings(optional)
	return required, optional
}
