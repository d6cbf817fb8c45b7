package secrets

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// signerPrefix and keyPrefix begin the texts of a public and of a private signing key.
const (
	signerPrefix = "ed25519:"
	keyPrefix    = "MCP-SIGNING-KEY-"
)

// Signer is the public key of an operator, who signs envelopes. The zero Signer is none.
// Signers are comparable.
type Signer struct{ text string }

// ParseSigner reads a signer in the form that String returns: "ed25519:…".
func ParseSigner(text string) (Signer, error) {
	encoded, found := strings.CutPrefix(text, signerPrefix)
	key, err := base64.RawURLEncoding.Strict().DecodeString(encoded[:min(len(encoded), 100)])
	if !found || err != nil || len(key) != ed25519.PublicKeySize {
		return Signer{}, fault.New(fault.Invalid, "%.80q is no signing key of the form ed25519:… with 43 letters and digits", text)
	}
	return Signer{signerPrefix + base64.RawURLEncoding.EncodeToString(key)}, nil
}

// String returns the signer as text, "ed25519:…"; "" for none.
func (s Signer) String() string { return s.text }

// IsZero reports whether s is none.
func (s Signer) IsZero() bool { return s.text == "" }

// MarshalText returns the signer as text.
func (s Signer) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText reads what MarshalText returns.
func (s *Signer) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*s = Signer{}
		return nil
	}
	*s, err = ParseSigner(string(text))
	return err
}

// verifies reports whether the signer has signed a message.
func (s Signer) verifies(message, signature []byte) bool {
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s.text, signerPrefix))
	return err == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature)
}

// SigningKey is the private key of an operator. It has no String and no MarshalText.
type SigningKey struct{ private ed25519.PrivateKey }

// GenerateSigningKey returns the text of a new private key, for its file.
func GenerateSigningKey() (string, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return "", err
	}
	return keyPrefix + base64.RawURLEncoding.EncodeToString(seed) + "\n", nil
}

// ParseSigningKey reads what GenerateSigningKey returns. The error does not quote it.
func ParseSigningKey(text string) (SigningKey, error) {
	encoded, found := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	seed, err := base64.RawURLEncoding.DecodeString(encoded)
	if !found || err != nil || len(seed) != ed25519.SeedSize {
		return SigningKey{}, fault.New(fault.Invalid, "no signing key of the form %s…", keyPrefix)
	}
	return SigningKey{ed25519.NewKeyFromSeed(seed)}, nil
}

// Signer returns the public half.
func (k SigningKey) Signer() Signer {
	public, _ := k.private.Public().(ed25519.PublicKey) // it always is one
	return Signer{signerPrefix + base64.RawURLEncoding.EncodeToString(public)}
}

// Mark returns a mark of the value of a secret, by which the same operator recognizes the
// value. That takes the private key: the mark is an HMAC with a key derived from it. Two
// secrets with the same value have different marks.
func (k SigningKey) Mark(service, name string, value []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, k.private.Seed(), nil, "mcp secret mark 1", sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(framed([]byte(service), []byte(name), value))
	return mac.Sum(nil), nil
}

// MarkSize is the length of a mark, in bytes.
const MarkSize = sha256.Size
