package fleet

import "time"

// Machine is a host on which a node's worker runs.
type Machine struct {
	// ID identifies the host across boots; "" if that is unknown.
	ID string `json:"id,omitempty"`
	// Boot identifies this boot of it.
	Boot string `json:"boot,omitempty"`
	// Hostname is its host name, for display.
	Hostname string `json:"hostname,omitempty"`
}

// Same reports whether two are the same boot of the same host.
func (m Machine) Same(other Machine) bool { return m.ID == other.ID && m.Boot == other.Boot }

// SameHost reports whether two are known to be the same host, whatever the boot.
func (m Machine) SameHost(other Machine) bool { return m.ID != "" && m.ID == other.ID }

// Claim is the request of a node's worker, before it polls the node's queue, to
// hold the node's name for its machine.
type Claim struct {
	Node string `json:"node"`
	// Address is where the node's routes would be published.
	Address string  `json:"address"`
	Machine Machine `json:"machine"`
	// Silent is the machine that held the name when the node's queue was asked for
	// its poller and no other machine answered; nil if it was not asked.
	Silent *Machine `json:"silent,omitempty"`
	// Key is the public key to which secrets for the node are sealed, "age1…"; "" for
	// none. Signers are the public keys of the operators whose secrets it takes.
	Key     string   `json:"key,omitempty"`
	Signers []string `json:"signers,omitempty"`
}

// Holder is the machine that holds a node's name.
type Holder struct {
	Machine Machine `json:"machine"`
	Address string  `json:"address"`
	// Since is when it got the name; zero if no machine holds it.
	Since time.Time `json:"since,omitzero"`
	// Answered is when it last answered an observation; zero if it never has.
	Answered time.Time `json:"answered,omitzero"`
}

// Verdict is the decision on a claim.
type Verdict string

// The verdicts.
const (
	ClaimGranted Verdict = "granted"
	ClaimRefused Verdict = "refused"
	// ClaimOpen depends on whether another machine polls the node's queue.
	ClaimOpen Verdict = "open"
)

// Answer is the reply of the worker that polls a node's queue.
type Answer struct {
	Machine Machine `json:"machine"`
	Address string  `json:"address"`
}

// Rivals reports whether the worker that answered is not the claimant.
func (a Answer) Rivals(c Claim) bool { return !a.Machine.Same(c.Machine) }

// ClaimResult is the decision on a claim, and the holder before it.
type ClaimResult struct {
	Verdict Verdict `json:"verdict"`
	Holder  Holder  `json:"holder"`
	// Key is the node's key before the claim; "" for none.
	Key string `json:"key,omitempty"`
}

// NodeUse is the use of a node that keeps it from being removed.
type NodeUse struct {
	Node string
	// Services are those with a component on it.
	Services []ServiceOn
	// Deploying is a service of which a deployment to the node is under way; "" if
	// there is none.
	Deploying string
}
