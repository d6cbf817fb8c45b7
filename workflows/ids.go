// Package workflows tells the stories: what a deploy, a build, a plan and a
// status are, step by step. It is deterministic code: it decides, calls
// activities and remembers, and touches nothing itself.
package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Names under which the workflows are registered. They are part of every
// recorded history and must not change.
const (
	DeployName       = "Deploy"
	BuildName        = "Build"
	MendName         = "Mend"
	PlanName         = "Plan"
	StatusName       = "Status"
	ServicesName     = "Services"
	ProcessesName    = "Processes"
	HistoryName      = "History"
	SnapshotName     = "Snapshot"
	RegisterNodeName = "RegisterNode"
	ReviveNodeName   = "ReviveNode"
	MonitorName      = "Monitor"
	MonitorNodeName  = "MonitorNode"
	NodeStatesName   = "NodeStates"
	EventsName       = "Events"
	NodeHistoryName  = "NodeHistory"
	RetentionName    = "Retention"
	ClaimNodeName    = "ClaimNode"
	DrainNodeName    = "DrainNode"
	RemoveNodeName   = "RemoveNode"
	AlertName        = "Alert"
	AdoptionName     = "Adoption"
	SyncName         = "Sync"
	PurgeName        = "Purge"
	PurgeableName    = "Purgeable"
	LogsName         = "Logs"
	DoctorName       = "Doctor"
	ExecName         = "Exec"
)

// DeployID is the workflow id of all that changes a service. The running
// workflow of that id is the lock.
func DeployID(service string) string { return "deploy/" + service }

// MendID is the id of the workflow that completes what a deployment could not
// put back.
func MendID(service string, deployment int) string {
	return fmt.Sprintf("mend/%s/%d", service, deployment)
}

// BuildID is the workflow id of a build without a deploy.
func BuildID(service string) string { return "build/" + service }

// ReadID is the id of a workflow that only reads; nonce makes it unique. Saved
// views of Temporal's UI leave out what starts with "read/".
func ReadID(verb, nonce string) string { return "read/" + verb + "/" + nonce }

// NodeID is the id of the workflow with which a node announces itself, and of
// what follows from a boot.
func NodeID(node string) string { return "node/" + node }

// ClaimID is the id of the workflow with which a machine claims a node's name;
// a clone's claim is another.
func ClaimID(node string, m fleet.Machine) string { return "claim/" + node + "/" + m.ID + "/" + m.Boot }

// NodeChangeID is the id of a workflow that drains, activates or removes a
// node; nonce makes it unique.
func NodeChangeID(node, verb, nonce string) string { return "node/" + node + "/" + verb + "/" + nonce }

// MonitorID is the id of the schedule that has the nodes looked at, and what the
// ids of the looks begin with.
const MonitorID = "monitor"

// MonitorNodeID is the id of a look at one node.
func MonitorNodeID(node string) string { return MonitorID + "/" + node }

// AlertID is the id of the workflow that tells a destination of events.
func AlertID(destination string) string { return "alert/" + destination }

// RetentionID is the id of the schedule that has history thinned, and what the
// ids of its workflows begin with.
const RetentionID = "retention"

// Search attributes of every workflow of mcp's.
var (
	SearchService = temporal.NewSearchAttributeKeyKeyword("McpService")
	SearchNode    = temporal.NewSearchAttributeKeyKeywordList("McpNode")
	SearchOutcome = temporal.NewSearchAttributeKeyKeyword("McpOutcome")
)

// SearchAttributes are all of them.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{SearchService, SearchNode, SearchOutcome}
}

// Keys of the memo of a Deploy, which a client reads without the history.
const (
	// MemoWho is who asked, and from which machine.
	MemoWho = "who"
	// MemoDefinition is the hash of what is being deployed: see DeployHash.
	MemoDefinition = "definition"
	// MemoPhase is PhaseRetiring once the deploy has succeeded.
	MemoPhase = "phase"
)

// PhaseRetiring is the phase in which a deploy has succeeded and only its
// predecessors' containers are still to be removed.
const PhaseRetiring = "retiring"

// DefaultDeadline is how long a deploy waits for what is down.
const DefaultDeadline = 30 * time.Minute

// DeployHash tells whether two deploys ask for the same thing.
func DeployHash(in DeployInput) string {
	hash := in.Definition.Hash()
	for _, name := range in.Only {
		hash += "/" + name
	}
	if in.Force {
		hash += "/force"
	}
	if in.Rollback != 0 {
		hash += "/rollback"
	}
	if in.Undeploy {
		hash += "/undeploy"
	}
	if in.Adopt {
		hash += "/adopt"
	}
	if in.Turn != "" {
		hash += "/" + in.Turn
	}
	return hash
}

// Nodes are the nodes that a definition names, each once, in its order.
func Nodes(definition servicedef.Service) []string {
	var nodes []string
	seen := map[string]bool{}
	for _, c := range definition.Components {
		if !seen[c.Node] {
			seen[c.Node] = true
			nodes = append(nodes, c.Node)
		}
	}
	return nodes
}
