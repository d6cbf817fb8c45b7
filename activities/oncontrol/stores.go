package oncontrol

import (
	"context"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// Registry is what Control needs of mcp's own tables: a store for each group of
// its activities. Each method is one transaction and may be called twice. A
// function that a method takes is pure: it runs inside the transaction, and runs
// again if that is retried.
type Registry interface {
	ServiceStore
	DeploymentStore
	TaskStore
	JobStore
	PortStore
	EdgeStore
	EdgeWatchStore
	NodeStore
	ObservationStore
	EventStore
	AlertStore
	HistoryStore
	SchemaStore
	AuditStore
	SecretStore
}

// ServiceStore keeps the services with their releases and definitions.
type ServiceStore interface {
	Release(ctx context.Context, service string) (fleet.Release, error)
	Services(ctx context.Context, names []string) ([]fleet.ServiceRecord, error)
	RecordDefinition(ctx context.Context, definition servicedef.Service) (changed bool, err error)
	MarkMended(ctx context.Context, service string, deployment int, run string) error
	Purge(ctx context.Context, service string, dry bool, may func(fleet.Remains) error) (fleet.Forgotten, error)
}

// DeploymentStore keeps the deployments of each service.
type DeploymentStore interface {
	OpenRuns(ctx context.Context) ([]fleet.OpenRun, error)
	CloseLost(ctx context.Context, r fleet.OpenRun) error
	BeginDeployment(ctx context.Context, r fleet.BeginRequest) (fleet.BeginResult, error)
	Renumber(ctx context.Context, r fleet.RenumberRequest) (int, error)
	CommitRelease(ctx context.Context, r fleet.CommitRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Committed, error)
	FinishDeployment(ctx context.Context, r fleet.FinishRequest) error
	Deployments(ctx context.Context, service string, limit int) ([]fleet.DeploymentRecord, error)
	Snapshot(ctx context.Context, service string, number int) (fleet.Snapshot, error)
}

// TaskStore keeps the runs of steps and jobs.
type TaskStore interface {
	RecordTask(ctx context.Context, r fleet.TaskRecord) error
	Tasks(ctx context.Context, q fleet.TaskQuery) ([]fleet.TaskRecord, error)
}

// JobStore keeps the jobs of releases, and their runs.
type JobStore interface {
	BeginRun(ctx context.Context, r fleet.RunRequest) (fleet.RunBegun, error)
	SkipRun(ctx context.Context, r fleet.RunRequest, release int, node, detail string, keep int) error
	RecordAttempt(ctx context.Context, runID, container string, attempts int) error
	EndRun(ctx context.Context, r fleet.RunEnd) error
	OpenJobRuns(ctx context.Context, service string) ([]fleet.JobRun, error)
	JobRuns(ctx context.Context, service, job string, limit int) ([]fleet.JobRun, error)
	JobStates(ctx context.Context, names []string) ([]fleet.JobState, error)
	PauseJob(ctx context.Context, service, job, by string) error
}

// PortStore keeps the holders of host ports.
type PortStore interface {
	PortHolders(ctx context.Context, ports []fleet.HostPort) ([]fleet.PortHolder, error)
	AllocatePorts(ctx context.Context, r fleet.PortRequest) ([]fleet.Route, error)
	ReleasePorts(ctx context.Context, service string, rest time.Duration) error
}

// EdgeStore keeps the edges, what they serve, and the holders of endpoints.
type EdgeStore interface {
	Publish(ctx context.Context, r fleet.PublishRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error)
	SetMaintenance(ctx context.Context, r fleet.MaintenanceRequest, publish func(fleet.PublicationSource) []fleet.EdgeRoute) (fleet.Publishing, error)
	Publications(ctx context.Context, service string) ([]fleet.Publication, error)
	RecordAcks(ctx context.Context, acks []fleet.EdgeAck) error
	AnnounceEdge(ctx context.Context, r fleet.EdgeRecord) (fleet.EdgeAnswer, error)
	AdmitEdge(ctx context.Context, a fleet.EdgeAdmission) (fleet.EdgeState, error)
	RemoveEdge(ctx context.Context, edge string) error
	Edges(ctx context.Context) ([]fleet.EdgeState, error)
	RecordEdgeStatus(ctx context.Context, edge string, status fleet.EdgeStatus) error
	EndpointHolders(ctx context.Context, endpoints []fleet.Endpoint) ([]fleet.EndpointHolder, error)
	ThinEdges(ctx context.Context, before time.Time) error
	UseStorage(ctx context.Context, r fleet.StorageRequest, run string) (fleet.StorageAnswer, error)
}

// NodeStore keeps the nodes and the machines that hold their names.
type NodeStore interface {
	RecordNode(ctx context.Context, r fleet.NodeRecord) (fleet.Boot, error)
	MarkRevived(ctx context.Context, node, boot string) error
	ClaimNode(ctx context.Context, c fleet.Claim, destinations []string, judge func(fleet.Holder, fleet.Claim) fleet.Verdict) (fleet.ClaimResult, error)
	SetDraining(ctx context.Context, node string, draining bool) ([]fleet.ServiceOn, error)
	RemoveNode(ctx context.Context, node string, may func(fleet.NodeUse) error) (named bool, err error)
	Nodes(ctx context.Context) ([]fleet.NodeRecord, error)
	LastSeen(ctx context.Context, node string) (time.Time, error)
	NodeStates(ctx context.Context) ([]fleet.NodeState, error)
}

// ObservationStore keeps what the monitor observes.
type ObservationStore interface {
	WatchedNodes(ctx context.Context) ([]fleet.WatchedNode, error)
	RecordObservation(ctx context.Context, r fleet.RecordRequest, decide func(fleet.Evidence) fleet.Findings) (fleet.Findings, error)
}

// EventStore keeps the events of drift and healing.
type EventStore interface {
	Events(ctx context.Context, q fleet.EventQuery) ([]fleet.Event, error)
	FoldEvents(ctx context.Context, before time.Time, n int) (folded int, err error)
	DropEvents(ctx context.Context, before time.Time, n int) (dropped int, err error)
}

// AlertStore keeps the events that destinations have yet to get.
type AlertStore interface {
	Alerting(ctx context.Context, maxAge time.Duration) ([]string, error)
	Alerts(ctx context.Context, destination string, limit int) ([]fleet.Event, error)
	MarkDelivered(ctx context.Context, destination string, event int64) error
}

// HistoryStore keeps the figures of the nodes.
type HistoryStore interface {
	History(ctx context.Context, node string, from time.Time) (fleet.NodeHistory, error)
	ThinSamples(ctx context.Context, node string, before time.Time) (thinned bool, err error)
	DropHours(ctx context.Context, before time.Time) error
}

// SecretStore keeps the sealed values of secrets.
type SecretStore interface {
	AddSecret(ctx context.Context, a secrets.Addition) error
	RemoveSecret(ctx context.Context, service, name string, may func(fleet.Release) error) (versions int, err error)
	NewestSecrets(ctx context.Context, service string) (map[string]int, error)
	SecretVersions(ctx context.Context, service string, after secrets.Ref, limit int) ([]secrets.Secret, error)
	SecretPage(ctx context.Context, service string, after secrets.Ref, limit int) ([]secrets.Secret, error)
	WithdrawSecret(ctx context.Context, ref secrets.Ref) error
	Envelopes(ctx context.Context, refs []secrets.Ref) ([]secrets.Envelope, error)
}

// SchemaStore reports the version of the tables, and the one that this mcp needs.
// CheckTables fails if tables are missing or too old.
type SchemaStore interface {
	Schema(ctx context.Context) (has, needs int, err error)
	CheckTables(ctx context.Context) error
}
