package fleet

import "time"

// Machine is a host on which a node's worker runs.
type Machine struct {
	// ID tells the host from others, whatever boots; "" where that is unknown.
	ID string `json:"id,omitempty"`
	// Boot tells this boot of it from others.
	Boot string `json:"boot,omitempty"`
	// Hostname is what it calls itself, for a person.
	Hostname string `json:"hostname,omitempty"`
}

// is reports whether two are the same boot of the same host.
func (m Machine) is(other Machine) bool { return m.ID == other.ID && m.Boot == other.Boot }

// Claim is a worker's, before it polls a node's queue: that the node's name is
// its machine's.
type Claim struct {
	Node string `json:"node"`
	// Address is where the node's routes would be published.
	Address string  `json:"address"`
	Machine Machine `json:"machine"`
	// Silent is who had the name when the node's queue was asked who polls it,
	// and nobody else did; nil where it was not asked.
	Silent *Machine `json:"silent,omitempty"`
}

// Holder is the machine that a node's name belongs to.
type Holder struct {
	Machine Machine `json:"machine"`
	Address string  `json:"address"`
	// Since is when it came to have the name; zero if none has it.
	Since time.Time `json:"since,omitzero"`
	// Answered is when a look found it last; zero if none has.
	Answered time.Time `json:"answered,omitzero"`
}

// Verdict is what becomes of a claim.
type Verdict string

// The verdicts.
const (
	ClaimGranted Verdict = "granted"
	ClaimRefused Verdict = "refused"
	// ClaimOpen: it depends on whether another machine polls the node's queue.
	ClaimOpen Verdict = "open"
)

// Judge decides a claim on a name that h has; the zero Holder is nobody.
//
// A name stays with its machine until the node is removed: that it does not
// answer proves nothing, and once its network is back its worker would take
// tasks that are meant for another. A new boot of the machine may be a clone of
// it, which has its identity; and a name that nobody has may be that of a node
// which was removed while its worker ran. There the node's queue tells.
func Judge(h Holder, c Claim) Verdict {
	switch {
	case h.Machine.ID != "" && h.Machine.ID != c.Machine.ID:
		return ClaimRefused
	case h.Machine.is(c.Machine), c.Silent != nil && c.Silent.is(h.Machine):
		return ClaimGranted
	}
	return ClaimOpen
}

// Answer is what the worker says that polls a node's queue.
type Answer struct {
	Machine Machine `json:"machine"`
	Address string  `json:"address"`
}

// Rivals reports whether who answered is another than who claims.
func (a Answer) Rivals(c Claim) bool { return !a.Machine.is(c.Machine) }

// ClaimResult is what has become of a claim, and who had the name before.
type ClaimResult struct {
	Verdict Verdict `json:"verdict"`
	Holder  Holder  `json:"holder"`
}
