package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/internal/fleet"
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
	AnnounceEdgeName = "AnnounceEdge"
	AdmitEdgeName    = "AdmitEdge"
	RemoveEdgeName   = "RemoveEdge"
	EdgesName        = "Edges"
	RoutesName       = "Routes"
	MaintainName     = "Maintain"
	AccessLogName    = "AccessLog"
	BuildLogName     = "BuildLog"
	EdgeStorageName  = "EdgeStorage"
)

// DeployID is the workflow id of every operation on a service. The running
// workflow of that id is the service's lock.
func DeployID(service string) string { return "deploy/" + service }

// MendID is the id of the workflow that completes the undo of a deployment.
func MendID(service string, deployment int) string {
	return fmt.Sprintf("mend/%s/%d", service, deployment)
}

// BuildID is the workflow id of a build without a deploy.
func BuildID(service string) string { return "build/" + service }

// ReadID is the id of a workflow that only reads; nonce makes it unique. Saved
// views of Temporal's UI leave out what starts with "read/".
func ReadID(verb, nonce string) string { return "read/" + verb + "/" + nonce }

// NodeID is the id of the workflow that registers a node, and of the one that
// revives it after a boot.
func NodeID(node string) string { return "node/" + node }

// ClaimID is the id of the workflow with which a machine claims a node's name;
// a clone's claim is another.
func ClaimID(node string, m fleet.Machine) string { return "claim/" + node + "/" + m.ID + "/" + m.Boot }

// NodeChangeID is the id of a workflow that drains, activates or removes a
// node; nonce makes it unique.
func NodeChangeID(node, verb, nonce string) string { return "node/" + node + "/" + verb + "/" + nonce }

// AnnouncementID is the id of the workflow with which an edge announces itself. The
// announcement of another key is another.
func AnnouncementID(edge, key string) string { return "edge/" + edge + "/announce/" + key }

// EdgeStorageID is the id of the workflow that carries out a request of an edge to the
// storage that edges share; nonce makes it unique.
func EdgeStorageID(edge, nonce string) string { return "edge/" + edge + "/storage/" + nonce }

// EdgeChangeID is the id of a workflow that admits or removes an edge; nonce makes it
// unique.
func EdgeChangeID(edge, verb, nonce string) string { return "edge/" + edge + "/" + verb + "/" + nonce }

// MaintainID is the id of a workflow that begins or ends the maintenance of a service;
// nonce makes it unique.
func MaintainID(service, nonce string) string { return "maintain/" + service + "/" + nonce }

// MonitorID is the id of the schedule that observes the nodes, and the prefix of
// the ids of the workflows that do so.
const MonitorID = "monitor"

// MonitorNodeID is the id of the workflow that observes one node.
func MonitorNodeID(node string) string { return MonitorID + "/" + node }

// AlertID is the id of the workflow that sends events to a destination.
func AlertID(destination string) string { return "alert/" + destination }

// RetentionID is the id of the schedule that thins history, and the prefix of the
// ids of its workflows.
const RetentionID = "retention"

// Schedules are the ids of all schedules.
func Schedules() []string { return []string{MonitorID, RetentionID} }

// Search attributes of mcp's workflows.
var (
	SearchService = temporal.NewSearchAttributeKeyKeyword("McpService")
	SearchNode    = temporal.NewSearchAttributeKeyKeywordList("McpNode")
	SearchOutcome = temporal.NewSearchAttributeKeyKeyword("McpOutcome")
)

// SearchAttributes are all search attributes.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{SearchService, SearchNode, SearchOutcome}
}
