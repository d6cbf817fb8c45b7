package fleet

import (
	"time"

	"github.com/metacircular/mcp/internal/policy"
)

// Observation is the state of a node at one moment: its status and its
// containers, or the reason why it did not answer.
type Observation struct {
	Node string `json:"node"`
	// At is when the observation began, by Temporal's clock.
	At time.Time `json:"at"`
	// Problem is why the node did not answer; "" if it did.
	Problem string `json:"problem,omitempty"`
	// Unanswered is when the first of the unanswered observations in a row before
	// this one began; zero if the last one was answered. The registry fills it in.
	Unanswered time.Time `json:"unanswered,omitzero"`
	// Status is nil, and Containers is empty, if the node did not answer.
	Status     *NodeStatus `json:"status,omitempty"`
	Containers Observed    `json:"containers,omitempty"`
	// Policy is that of the node; nil if it has none.
	Policy *policy.Policy `json:"policy,omitempty"`
	// Age is the time from the beginning of the observation to its record. It may
	// have seen half of the changes of a deployment in that time.
	Age time.Duration `json:"age,omitempty"`
}

// RecordRequest is an observation to record.
type RecordRequest struct {
	Observation Observation
	// Destinations get an alert for each event.
	Destinations []string
	// Ended and Healed bound the Evidence: deployments that ended within Ended
	// before the observation is recorded, and events of healing that happened within
	// Healed before it was made.
	Ended, Healed time.Duration
}

// Evidence is an observation together with what the registry holds of its node.
type Evidence struct {
	Observation Observation
	// Before are the containers of the last answered observation, by their ids;
	// only what concerns their restarts is filled in.
	Before map[string]Container
	// Services are those that have a component on the node or a container there.
	Services []ServiceRecord
	// Deployments are the newest of each service, if they are under way or have
	// ended lately.
	Deployments []RecentDeployment
	// Open is the drift that has begun on the node and not ended, oldest first.
	Open []OpenDrift
	// Healed are the recent events of healing, oldest first.
	Healed []Event
}

// RecentDeployment is a deployment that is under way or has ended lately.
type RecentDeployment struct {
	Service  string
	Number   int
	UnderWay bool
}

// Findings is what follows from an observation.
type Findings struct {
	// State is the node's, and Since when it entered that; "" leaves the recorded
	// state unchanged.
	State string
	Since time.Time
	// Containers are the observed ones, each with its recent restarts.
	Containers []Container
	// Events are new; the registry fills in their IDs.
	Events []Event
	// Open is the drift that is open from now on.
	Open []OpenDrift
	// Heal are the releases to deploy again.
	Heal []Healing
}
