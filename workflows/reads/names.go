package reads

// Names under which the workflows that read are registered. They are part of every
// recorded history and must not change.
const (
	StatusName      = "Status"
	ServicesName    = "Services"
	ProcessesName   = "Processes"
	HistoryName     = "History"
	NodeStatesName  = "NodeStates"
	EventsName      = "Events"
	NodeHistoryName = "NodeHistory"
	NodePolicyName  = "NodePolicy"
	PurgeableName   = "Purgeable"
	LogsName        = "Logs"
	DoctorName      = "Doctor"
	EdgesName       = "Edges"
	RoutesName      = "Routes"
	AccessLogName   = "AccessLog"
	BuildLogName    = "BuildLog"
	JobsName        = "Jobs"
	JobRunsName     = "JobRuns"
	JobLogsName     = "JobLogs"
	AuditName       = "Audit"
	SecretsName     = "Secrets"
	EnvelopesName   = "Envelopes"
)

// ID is the id of a workflow that only reads; nonce makes it unique. Saved
// views of Temporal's UI leave out what starts with "read/".
func ID(verb, nonce string) string { return "read/" + verb + "/" + nonce }
