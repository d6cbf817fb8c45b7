package fleet

import "time"

// Observation is what one look at a node has found.
type Observation struct {
	Node string `json:"node"`
	// At is when the look began, by Temporal's clock.
	At time.Time `json:"at"`
	// Problem is why the node did not answer; "" if it did.
	Problem string `json:"problem,omitempty"`
	// Unanswered is when the first of the looks began that went without an
	// answer before this one, in a row; zero if the last had one. The registry
	// knows it.
	Unanswered time.Time `json:"unanswered,omitzero"`
	// Status is nil, and there are no Containers, where it did not.
	Status     *NodeStatus `json:"status,omitempty"`
	Containers Observed    `json:"containers,omitempty"`
	// Age is how long ago the look began when it is recorded: what a
	// deployment did meanwhile, the look may have seen half of.
	Age time.Duration `json:"age,omitempty"`
	// Abandoned are deployments that the registry takes to be under way and
	// that have no workflow any more, by service.
	Abandoned map[string]int `json:"abandoned,omitempty"`
}

// Counts reports whether an unanswered look makes the node unreachable. One
// alone does not: a worker that is restarted, as for a new version, is away for
// seconds.
func (o Observation) Counts() bool { return o.Problem != "" && !o.Unanswered.IsZero() }
