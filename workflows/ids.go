package workflows

import (
	"fmt"
	"strings"

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
	SnapshotName     = "Snapshot"
	RegisterNodeName = "RegisterNode"
	ReviveNodeName   = "ReviveNode"
	MonitorName      = "Monitor"
	MonitorNodeName  = "MonitorNode"
	RetentionName    = "Retention"
	ClaimNodeName    = "ClaimNode"
	DrainNodeName    = "DrainNode"
	RemoveNodeName   = "RemoveNode"
	AlertName        = "Alert"
	AdoptionName     = "Adoption"
	SyncName         = "Sync"
	PurgeName        = "Purge"
	ExecName         = "Exec"
	AnnounceEdgeName = "AnnounceEdge"
	AdmitEdgeName    = "AdmitEdge"
	RemoveEdgeName   = "RemoveEdge"
	MaintainName     = "Maintain"
	RunJobName       = "RunJob"
	PauseJobName     = "PauseJob"
	RemoveTaskName   = "RemoveTask"
	EdgeStorageName  = "EdgeStorage"
	RecordAuditName  = "RecordAudit"
	SetSecretName    = "SetSecret"
	RemoveSecretName = "RemoveSecret"
	RotateSecretName = "RotateSecret"
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

// SecretID is the id of a workflow that changes a secret; nonce makes it unique.
func SecretID(service, name, verb, nonce string) string {
	return "secret/" + service + "/" + name + "/" + verb + "/" + nonce
}

// RotationID is the id of the workflow that rotates a secret: one at a time.
func RotationID(service, name string) string { return "rotate/" + service + "/" + name }

// MonitorID is the id of the schedule that observes the nodes, and the prefix of
// the ids of the workflows that do so.
const MonitorID = "monitor"

// MonitorNodeID is the id of the workflow that observes one node.
func MonitorNodeID(node string) string { return MonitorID + "/" + node }

// AlertID is the id of the workflow that sends events to a destination.
func AlertID(destination string) string { return "alert/" + destination }

// JobID is the id of the schedule of a job, and the prefix of the ids of its runs.
func JobID(service, job string) string { return jobPrefix + service + "/" + job }

const jobPrefix = "job/"

// JobOf is the inverse of JobID; ok is false for the id of another schedule.
func JobOf(id string) (service, job string, ok bool) {
	rest, ok := strings.CutPrefix(id, jobPrefix)
	service, job, found := strings.Cut(rest, "/")
	return service, job, ok && found && servicedef.IsLabel(service) && servicedef.IsLabel(job)
}

// RunID is the id of the workflow of a run that was asked for; nonce makes it unique.
func RunID(service, job, nonce string) string { return JobID(service, job) + "/" + nonce }

// RemoveTaskID is the id of the workflow that removes the container of a task, given its
// id, when its node is back.
func RemoveTaskID(task string) string { return "remove/" + task }

// PauseID is the id of a workflow that pauses a job or resumes it; nonce makes it unique.
func PauseID(service, job, nonce string) string {
	return "pause/" + service + "/" + job + "/" + nonce
}

// RecordAuditID is the id of the workflow that adds an action to the audit, given its key
// and the phase that it is in: "begun" or "ended".
func RecordAuditID(key, phase string) string { return "audit/" + key + "/" + phase }

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
