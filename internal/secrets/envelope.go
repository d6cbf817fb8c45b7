package secrets

import (
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/servicedef"
)

// Limits of an envelope. Temporal refuses an input of more than 2 MiB.
const (
	// MaxValue is the size of the largest value, in bytes.
	MaxValue = 256 << 10
	// MaxRecipients bounds the recipients of a value.
	MaxRecipients = 200
	// maxSealed bounds a sealed value: age adds a header and 200 bytes for each recipient.
	maxSealed = MaxValue + MaxRecipients*256 + 16<<10
)

// Recipient is whom a value is sealed to: a node, a builder, or a recovery key, with which
// an operator can open it if the others are lost.
type Recipient struct {
	Name string `json:"name"`
	// Builder is set for a builder, and Recovery for a recovery key.
	Builder  bool     `json:"builder,omitempty"`
	Recovery bool     `json:"recovery,omitempty"`
	Key      seal.Key `json:"key"`
}

// String names the recipient for people.
func (r Recipient) String() string {
	switch {
	case r.Recovery:
		return "recovery key " + r.Name
	case r.Builder:
		return "builder " + r.Name
	}
	return r.Name
}

// IsNode reports whether the recipient is a node.
func (r Recipient) IsNode() bool { return !r.Recovery && !r.Builder }

// kind returns what the recipient is, for what is signed and for the order of recipients.
func (r Recipient) kind() string {
	switch {
	case r.Recovery:
		return "3 recovery"
	case r.Builder:
		return "2 builder"
	}
	return "1 node"
}

// Envelope is the value of one version of a secret, sealed to its recipients and signed.
type Envelope struct {
	Ref
	// Recipients are sorted, each once.
	Recipients []Recipient `json:"recipients"`
	// Sealed is the value as package seal has sealed it to the recipients' keys, under the
	// subject of Ref.
	Sealed []byte `json:"sealed"`
	// Signer has signed all of the above.
	Signer    Signer `json:"signer"`
	Signature []byte `json:"signature"`
}

// Seal seals a value to its recipients and signs the envelope.
func Seal(ref Ref, value []byte, recipients []Recipient, by SigningKey) (Envelope, error) {
	if err := CheckValue(ref, value); err != nil {
		return Envelope{}, err
	}
	recipients = sorted(recipients)
	if len(recipients) == 0 {
		return Envelope{}, fault.New(fault.Invalid, "%s: there is no recipient to seal it to", ref)
	}
	keys := make([]seal.Key, len(recipients))
	for i, r := range recipients {
		keys[i] = r.Key
	}
	sealed, err := seal.Seal(ref.Subject(), value, keys...)
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{Ref: ref, Recipients: recipients, Sealed: sealed, Signer: by.Signer()}
	e.Signature = ed25519.Sign(by.private, e.message())
	return e, e.Check()
}

// CheckValue returns an Invalid error unless a version of a secret can have a value.
func CheckValue(ref Ref, value []byte) error {
	switch {
	case len(value) == 0:
		return fault.New(fault.Invalid, "%s/%s: the value is empty", ref.Service, ref.Name)
	case len(value) > MaxValue:
		return fault.New(fault.Invalid, "%s/%s: the value has more than %d KiB", ref.Service, ref.Name, MaxValue>>10).
			WithHint("keep what is larger in a volume, or as a file of the workspace that is encrypted with a key of this size")
	}
	return nil
}

// Check returns an Invalid error unless the envelope has a valid form, and its own signer
// has signed it. It does not say that the signer is to be trusted.
func (e Envelope) Check() error {
	if err := e.Ref.Check(); err != nil {
		return err
	}
	switch {
	case len(e.Sealed) == 0 || len(e.Sealed) > maxSealed:
		return fault.New(fault.Invalid, "%s: a sealed value of %d bytes: at most %d are permitted", e.Ref, len(e.Sealed), maxSealed)
	case len(e.Recipients) == 0 || len(e.Recipients) > MaxRecipients:
		return fault.New(fault.Invalid, "%s: %d recipients: from 1 to %d are permitted", e.Ref, len(e.Recipients), MaxRecipients)
	}
	for i, r := range e.Recipients {
		if !servicedef.IsLabel(r.Name) || r.Key.IsZero() || r.Builder && r.Recovery {
			return fault.New(fault.Invalid, "%s: recipient %d has no name or no key", e.Ref, i+1)
		}
	}
	switch {
	case !slices.Equal(e.Recipients, sorted(e.Recipients)):
		return fault.New(fault.Invalid, "%s: the recipients are not in order, or one is there twice", e.Ref)
	case e.Signer.IsZero() || len(e.Signature) == 0:
		return fault.New(fault.Unauthorized, "%s: the envelope is not signed", e.Ref)
	case !e.Signer.verifies(e.message(), e.Signature):
		return fault.New(fault.Unauthorized, "%s: the signature is not one of %s on this envelope", e.Ref, e.Signer)
	}
	return nil
}

// Has reports whether the value is sealed to a recipient.
func (e Envelope) Has(r Recipient) bool { return slices.Contains(e.Recipients, r) }

// message returns what is signed: every field after its length, so that no two envelopes
// have the same message.
func (e Envelope) message() []byte {
	fields := [][]byte{
		[]byte("mcp secret envelope 1"), []byte(e.Service), []byte(e.Name), []byte(strconv.Itoa(e.Version)),
		[]byte(e.Signer.text), []byte(strconv.Itoa(len(e.Recipients))),
	}
	for _, r := range e.Recipients {
		fields = append(fields, []byte(r.kind()), []byte(r.Name), []byte(r.Key.String()))
	}
	return framed(append(fields, e.Sealed)...)
}

// framed returns fields, each after its length.
func framed(fields ...[]byte) []byte {
	var text []byte
	for _, field := range fields {
		text = binary.BigEndian.AppendUint32(text, uint32(len(field)))
		text = append(text, field...)
	}
	return text
}

// sorted returns recipients in one order, each once: nodes first, then builders, by name.
func sorted(recipients []Recipient) []Recipient {
	all := slices.Clone(recipients)
	slices.SortFunc(all, compareRecipients)
	return slices.CompactFunc(all, func(a, b Recipient) bool { return compareRecipients(a, b) == 0 })
}
