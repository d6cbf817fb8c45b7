package seal

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"filippo.io/age"

	"github.com/metacircular/mcp/internal/fault"
)

// maxKey is the length of the longest text that is parsed as a key, in bytes.
const maxKey = 128

// Key is a public X25519 key. The zero Key is none. Keys are comparable.
type Key struct{ text string }

// ParseKey reads a key in the form that String returns: "age1…".
func ParseKey(text string) (Key, error) {
	if len(text) > maxKey {
		return Key{}, fault.New(fault.Invalid, "a key of %d bytes: an X25519 key has 62", len(text))
	}
	recipient, err := age.ParseX25519Recipient(text)
	if err != nil {
		return Key{}, fault.Wrap(fault.Invalid, err, "%q is not an X25519 key of the form age1…", text)
	}
	return Key{recipient.String()}, nil
}

// String returns the key in the form of age, "age1…"; "" for none.
func (k Key) String() string { return k.text }

// IsZero reports whether k is no key.
func (k Key) IsZero() bool { return k.text == "" }

// Fingerprint returns a short form that people compare: eight groups of four letters
// and digits, which hold 160 bits of the key's SHA-256; "" for none.
func (k Key) Fingerprint() string {
	if k.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(k.text))
	text := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
	groups := make([]string, 0, 8)
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, "-")
}

// MarshalText returns the key in the form of age.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.text), nil }

// UnmarshalText reads what MarshalText returns.
func (k *Key) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*k = Key{}
		return nil
	}
	*k, err = ParseKey(string(text))
	return err
}
