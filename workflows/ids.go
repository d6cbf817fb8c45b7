package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/call"
)

// Names under which the workflows are registered. They are part of every
// recorded history and must not change.
const (
	DeployName       = "Deploy"
	BuildName        = "Build"
	MendName         = "Mend"
	PlanName         = "Plan"
	SnapshotName     = "Snapshot"
	AdoptionName     = "Adoption"
	SyncName         = "Sync"
	PurgeName        = "Purge"
	ExecName         = "Exec"
	MaintainName     = "Maintain"
	RunJobName       = "RunJob"
	PauseJobName     = "PauseJob"
	RemoveTaskName   = "RemoveTask"
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

// MaintainID is the id of a workflow that begins or ends the maintenance of a service;
// nonce makes it unique.
func MaintainID(service, nonce string) string { return "maintain/" + service + "/" + nonce }

// SecretID is the id of a workflow that changes a secret; nonce makes it unique.
func SecretID(service, name, verb, nonce string) string {
	return "secret/" + service + "/" + name + "/" + verb + "/" + nonce
}

// RotationID is the id of the workflow that rotates a secret: one at a time.
func RotationID(service, name string) string { return "rotate/" + service + "/" + name }

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

// Search attributes of mcp's workflows.
var (
	SearchService = temporal.NewSearchAttributeKeyKeyword("McpService")
	SearchNode    = call.SearchNode
	SearchOutcome = temporal.NewSearchAttributeKeyKeyword("McpOutcome")
)

// SearchAttributes are all search attributes.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{SearchService, SearchNode, SearchOutcome}
}
