package secrets

import (
	"fmt"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
)

// Reader opens envelopes on a node, or on the host of a builder.
type Reader struct {
	// Node is the name of the node, or that of the builder if Builder is set. Identity is
	// its private key; nil if it has none.
	Node     string
	Builder  bool
	Identity *seal.Identity
	// Signers are those whom it trusts, as its own configuration lists them.
	Signers []Signer
}

// String names the node or the builder for people.
func (r Reader) String() string {
	if r.Builder {
		return "builder " + r.Node
	}
	return "node " + r.Node
}

// Ready returns an Unauthorized error unless the node or the builder takes managed secrets
// at all: it has a key and trusts a signer.
func (r Reader) Ready() error {
	switch {
	case len(r.Signers) == 0:
		return fault.New(fault.Unauthorized, "%s takes no managed secret: its mcp.toml names no signer", r).
			WithHint("run mcp secret signer, add the line that it prints to [node] in the mcp.toml of %s, and restart its worker", r.Node)
	case r.Identity == nil:
		return fault.New(fault.Unauthorized, "%s takes no managed secret: its worker has no key", r).
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

// Untrusted returns the error of a signer whom the node or the builder does not trust.
func (r Reader) Untrusted(signer string) *fault.Error {
	return fault.New(fault.Unauthorized, "%s does not trust its signer %.80s", r, signer).
		WithHint("if that is what mcp secret signer prints for its operator, add it to [node] signers in the mcp.toml of %s, and restart its worker", r.Node)
}

// addressed returns an Unauthorized error unless the envelope is sealed to this node or
// builder, and to its key.
func (r Reader) addressed(want Ref, e Envelope) error {
	me := Recipient{Name: r.Node, Builder: r.Builder, Key: r.Identity.Key()}
	if e.Has(me) {
		return nil
	}
	if slices.ContainsFunc(e.Recipients, func(to Recipient) bool { return to.kind() == me.kind() && to.Name == r.Node }) {
		return fault.New(fault.Unauthorized, "%s is sealed to another key of %s than the one that it has", want, r).
			WithHint("if the key of %s has changed for a good reason, pin the new one and seal the secret again: mcp secret rekey %s", r.Node, want.Service)
	}
	f := fault.New(fault.Unauthorized, "%s is not sealed to %s", want, r).WithHint("%s", SealAgain(want))
	if !r.Builder {
		f.Node = r.Node
	}
	return f
}

// SealAgain returns what to do about a version that is not sealed to what needs it.
func SealAgain(ref Ref) string {
	return fmt.Sprintf("seal it again, to all that need it now: mcp secret rekey %s --identity FILE, with a recovery key, or mcp secret set %s/%s with the value", ref.Service, ref.Service, ref.Name)
}
