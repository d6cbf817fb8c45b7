package secrets

import (
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
)

// Reader opens envelopes on a node.
type Reader struct {
	// Node is the name of the node, and Identity its private key; nil where it has none.
	Node     string
	Identity *seal.Identity
	// Signers are those whom the node trusts, as its own configuration lists them.
	Signers []Signer
}

// Ready returns an Unauthorized error unless the node takes managed secrets at all: it
// has a key and trusts a signer.
func (r Reader) Ready() error {
	switch {
	case len(r.Signers) == 0:
		return fault.New(fault.Unauthorized, "node %s takes no managed secret: its mcp.toml names no signer", r.Node).
			WithHint("run mcp secret signer, add the line that it prints to [node] in the mcp.toml of %s, and restart its worker", r.Node)
	case r.Identity == nil:
		return fault.New(fault.Unauthorized, "node %s takes no managed secret: its worker has no key", r.Node).
			WithHint("see the log of its worker for the reason")
	}
	return nil
}

// Open returns the value in the envelope of the version that want names. An envelope of
// anything else is Invalid; one that no trusted signer has signed, or that is not
// addressed to this node and its key, is Unauthorized. No error holds a part of the value.
func (r Reader) Open(want Ref, e Envelope) ([]byte, error) {
	if err := want.Check(); err != nil {
		return nil, err
	}
	if err := r.Ready(); err != nil {
		return nil, err
	}
	if err := e.isOf(want); err != nil {
		return nil, err
	}
	if !slices.Contains(r.Signers, e.Signer) {
		refused := r.Untrusted(e.Signer.String())
		refused.Message = want.String() + ": " + refused.Message
		return nil, refused
	}
	if err := r.addressed(want, e); err != nil {
		return nil, err
	}
	return opened(r.Identity, want, e)
}

// isOf returns an Invalid error unless the envelope is a sound one of that version.
func (e Envelope) isOf(want Ref) error {
	if e.Ref != want {
		return fault.New(fault.Invalid, "%s: the envelope is one of %.80q/%.120q, version %d", want, e.Service, e.Name, e.Version).
			WithHint("what the control plane has sent is not what was asked for: find out who has changed its database")
	}
	return e.Check()
}

func opened(by *seal.Identity, want Ref, e Envelope) ([]byte, error) {
	value, err := by.Open(want.Subject(), e.Sealed)
	if err != nil {
		return nil, err
	}
	return value, CheckValue(want, value)
}

// Opener opens envelopes with a recovery key.
type Opener struct {
	Identity *seal.Identity
	// Signers are those whose envelopes it takes.
	Signers []Signer
}

// Open returns the value in the envelope of the version that want names. An envelope of
// anything else is Invalid; one that none of the signers has signed, or that is not sealed
// to the key, is Unauthorized. No error holds a part of the value.
func (o Opener) Open(want Ref, e Envelope) ([]byte, error) {
	if err := want.Check(); err != nil {
		return nil, err
	}
	if err := e.isOf(want); err != nil {
		return nil, err
	}
	if !slices.Contains(o.Signers, e.Signer) {
		return nil, fault.New(fault.Unauthorized, "%s is signed by %s, and not by you", want, e.Signer).
			WithHint("if that is what mcp secret signer prints for another operator: --signer %s", e.Signer)
	}
	key := o.Identity.Key()
	if !slices.ContainsFunc(e.Recipients, func(to Recipient) bool { return to.Key == key }) {
		return nil, fault.New(fault.Unauthorized, "%s is not sealed to the key %s", want, key.Fingerprint()).
			WithHint("use the recovery key that it was sealed to (mcp secret show %s/%s), or set the value again", want.Service, want.Name)
	}
	return opened(o.Identity, want, e)
}

// Untrusted is the error of a signer whom the node does not trust.
func (r Reader) Untrusted(signer string) *fault.Error {
	return fault.New(fault.Unauthorized, "node %s does not trust its signer %.80s", r.Node, signer).
		WithHint("if that is what mcp secret signer prints for its operator, add it to [node] signers in the mcp.toml of %s, and restart its worker", r.Node)
}

// addressed returns an Unauthorized error unless the envelope is sealed to this node and
// its key.
func (r Reader) addressed(want Ref, e Envelope) error {
	if e.Has(Recipient{Name: r.Node, Key: r.Identity.Key()}) {
		return nil
	}
	if slices.ContainsFunc(e.Recipients, func(to Recipient) bool { return !to.Recovery && to.Name == r.Node }) {
		return fault.New(fault.Unauthorized, "%s is sealed to another key of node %s than the one that it has", want, r.Node).
			WithHint("if the key of %s has changed for a good reason, pin the new one and seal the secret again: mcp secret rekey %s", r.Node, want.Service)
	}
	return NotSealedTo(want, r.Node)
}

// NotSealedTo is the error of a version that a node cannot open.
func NotSealedTo(ref Ref, node string) *fault.Error {
	f := fault.New(fault.Unauthorized, "%s is not sealed to node %s", ref, node).
		WithHint("seal it again, also to that node: mcp secret rekey %s --identity FILE, with a recovery key, or mcp secret set %s/%s with the value", ref.Service, ref.Service, ref.Name)
	f.Node = node
	return f
}
