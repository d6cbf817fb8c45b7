// Package who signs, at the door, the name of the caller that starts a workflow, and verifies
// it where the workflow runs.
package who

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/metacircular/mcp/internal/fault"
)

// Key verifies what a Signer has signed. It is public.
type Key ed25519.PublicKey

// Signer signs. All doors of a fleet have the same one.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner returns the signer of doors that have this secret in common.
func NewSigner(secret []byte) (Signer, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, "mcp door: who", ed25519.SeedSize)
	if err != nil {
		return Signer{}, fmt.Errorf("derive the key that signs who asks: %w", err)
	}
	return Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

// Key returns the signer's public key.
func (s Signer) Key() Key { return Key(s.key.Public().(ed25519.PublicKey)) }

// Sign signs that an actor, as JSON, has asked for a workflow of this id and type.
func (s Signer) Sign(id, workflow string, actor []byte) []byte {
	return ed25519.Sign(s.key, message(id, workflow, actor))
}

// Verify reports whether a door has signed it.
func (k Key) Verify(id, workflow string, actor, signature []byte) bool {
	return len(k) == ed25519.PublicKeySize && ed25519.Verify(ed25519.PublicKey(k), message(id, workflow, actor), signature)
}

// String returns the key as text, which ParseKey reads.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k) }

// ParseKey reads a key from text.
func ParseKey(text string) (Key, error) {
	k, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, fault.New(fault.Invalid, "%.80q is no public key of a door", text).WithHint("mcp gateway prints it when it starts")
	}
	return k, nil
}

func message(parts ...any) []byte {
	out := []byte("mcp who 1")
	for _, part := range parts {
		text, ok := part.(string)
		if !ok {
			text = string(part.([]byte))
		}
		out = binary.BigEndian.AppendUint64(out, uint64(len(text)))
		out = append(out, text...)
	}
	return out
}
