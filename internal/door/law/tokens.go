package law

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/metacircular/mcp/internal/identity"
)

// use is what a token is good for.
type use string

const (
	forActivity use = "activity"
	forWorkflow use = "workflow"
	forQuery    use = "query"
	// forPage tokens continue a list, or a history: they name in the clear what they
	// read.
	forPage use = "page"
)

// tokens wraps the tokens of Temporal, so that an identity can use only those that it was
// given: Temporal's own are forgeable, and name tasks and histories of anyone.
type tokens struct{ key []byte }

func newTokens(key []byte) (tokens, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "mcp door: tokens", sha256.Size)
	if err != nil {
		return tokens{}, fmt.Errorf("derive the key of tokens: %w", err)
	}
	return tokens{derived}, nil
}

// tokenVersion is the first byte of a wrapped token.
const tokenVersion = 1

// wrap makes a token of Temporal's valid for one identity and use. The empty token stays
// empty.
func (t tokens) wrap(of identity.Identity, for_ use, token []byte) []byte {
	if len(token) == 0 {
		return token
	}
	return append(append([]byte{tokenVersion}, t.mac(of, for_, token)...), token...)
}

// unwrap returns Temporal's own token; ok is false if the identity was not given the
// token for that use.
func (t tokens) unwrap(of identity.Identity, for_ use, wrapped []byte) (token []byte, ok bool) {
	if len(wrapped) == 0 {
		return nil, true
	}
	if len(wrapped) <= 1+sha256.Size || wrapped[0] != tokenVersion {
		return nil, false
	}
	mac, token := wrapped[1:1+sha256.Size], wrapped[1+sha256.Size:]
	return token, hmac.Equal(mac, t.mac(of, for_, token))
}

func (t tokens) mac(of identity.Identity, for_ use, token []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	for _, part := range [][]byte{[]byte(for_), []byte(of.String()), token} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return h.Sum(nil)
}
