package fleet

// Verb is the word for a kind of deployment. The registry records it, and
// metrics are labelled with it.
type Verb string

// The verbs.
const (
	// VerbDeploy brings a service to its definition.
	VerbDeploy Verb = "deploy"
	// VerbRollback deploys a former release again, by its digests.
	VerbRollback Verb = "rollback"
	// VerbReconcile is the monitor's rollback to the release itself.
	VerbReconcile Verb = "reconcile"
	// VerbUndeploy removes a service's components. Its release has nothing to go
	// back to.
	VerbUndeploy Verb = "undeploy"
	// VerbAdopt takes over containers that mcp has not started, and changes none.
	VerbAdopt Verb = "adopt"
	// VerbStop stops the release and keeps its containers.
	VerbStop Verb = "stop"
	// VerbStart runs a stopped release again.
	VerbStart Verb = "start"
	// VerbRestart replaces the release's containers by new ones.
	VerbRestart Verb = "restart"
	// VerbRotate gives the release the newest version of one secret.
	VerbRotate Verb = "rotate"
)
