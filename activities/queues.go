package activities

// QueueControl is the task queue of control workers.
const QueueControl = "control"

// QueueNode is the task queue that only the node's own worker polls.
func QueueNode(node string) string { return "node-" + node }

// QueueBuild is the task queue that only the named builder polls.
func QueueBuild(builder string) string { return "build-" + builder }

// QueueBuildLog is the task queue of the builder for its logs, which do not wait for its
// builds.
func QueueBuildLog(builder string) string { return "buildlog-" + builder }

// QueueEdge is the task queue that only the named edge polls.
func QueueEdge(edge string) string { return "edge-" + edge }
