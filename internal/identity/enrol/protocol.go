package enrol

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

// Protocol is the name of the protocol in the handshake of TLS.
const Protocol = "mcp-join/1"

// MaxRequest and MaxAnswer bound the messages of a client and of a gateway, in bytes.
const (
	MaxRequest = 64 << 10
	MaxAnswer  = 8 << 20
)

// Greeting is what a gateway says first.
type Greeting struct {
	// Time is that of the gateway's clock.
	Time time.Time `json:"time"`
	// Version is that of the gateway.
	Version string `json:"version"`
	// Authority is the fingerprint of the authority that signs certificates now, and
	// Authorities are those of all that are accepted.
	Authority   string   `json:"authority,omitempty"`
	Authorities []string `json:"authorities,omitempty"`
}

// Request asks for one thing: a certificate, or what its last four fields say, which are
// for operators.
type Request struct {
	// Secret is that of a token; nil to renew the certificate of the connection.
	Secret []byte `json:"secret,omitempty"`
	// Certificate is the request for it, in DER.
	Certificate []byte `json:"certificate,omitempty"`
	// Host is what the machine calls itself, for the audit.
	Host string `json:"host,omitempty"`
	// Create is an identity to create, whose id the gateway chooses.
	Create *identity.Creation `json:"create,omitempty"`
	// Revoke is an identity to revoke, as ROLE/NAME.
	Revoke string `json:"revoke,omitempty"`
	// List asks for all identities.
	List bool `json:"list,omitempty"`
	// Rotate is a step in the replacement of the authority.
	Rotate *identity.RotationStep `json:"rotate,omitempty"`
}

// Answer is what the gateway made of a Request.
type Answer struct {
	// Certificate is in DER.
	Certificate []byte `json:"certificate,omitempty"`
	// Authorities are those to trust from now on, in PEM.
	Authorities string `json:"authorities,omitempty"`
	// Doors are the addresses of all gateways; empty for those that are known already.
	Doors []string `json:"doors,omitempty"`
	// Namespace is that of Temporal.
	Namespace string `json:"namespace,omitempty"`
	// Fingerprint is that of the authority, for a token.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Identities are all of them.
	Identities []identity.Record `json:"identities,omitempty"`
	// Rotation is how the replacement of the authority stands.
	Rotation *identity.Rotation `json:"rotation,omitempty"`
	// Error is set if there is no certificate.
	Error *fault.Error `json:"error,omitempty"`
}

// Write sends a message.
func Write(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a message")
	}
	if len(text) > MaxAnswer {
		return fault.New(fault.Invalid, "a message of %d bytes: at most %d are permitted", len(text), MaxAnswer)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

// Read receives a message of at most so many bytes.
func Read(r io.Reader, message any, most int) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if uint64(n) > uint64(most) {
		return fault.New(fault.Invalid, "a message of %d bytes: at most %d are permitted", n, most)
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(n))) // as much memory as arrives
	if err != nil {
		return err
	}
	if len(text) < int(n) {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(text, message); err != nil {
		return fault.New(fault.Invalid, "a message that is not valid")
	}
	return nil
}
