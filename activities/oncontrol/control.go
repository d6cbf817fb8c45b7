package oncontrol

import (
	"time"
)

// Control holds the activities of control workers: all that touch Postgres or an
// image registry.
type Control struct {
	Registry Registry
	Images   ImageRegistry
	Lock     Lock
	Queues   Queues
	// Schedules are those of jobs.
	Schedules Schedules
	// MonitorInterval is how often each node is observed.
	MonitorInterval time.Duration
	// Version is mcp's own.
	Version string
	// Alerts are the destinations of alerts by their names; it may be empty.
	Alerts map[string]Alerter
	// PortRest is how long a released port is kept from being handed out
	// again: the old holder may still be stopping, and a client may still
	// have its address.
	PortRest time.Duration
}
