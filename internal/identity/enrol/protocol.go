package enrol

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// Protocol is the name of the protocol in the handshake of TLS.
const Protocol = "mcp-join/1"

// maxMessage bounds a message, in bytes.
const maxMessage = 64 << 10

// Greeting is what a gateway says first.
type Greeting struct {
	// Time is that of the gateway's clock.
	Time time.Time `json:"time"`
	// Version is that of the gateway.
	Version string `json:"version"`
}

// Request asks for a certificate.
type Request struct {
	// Secret is that of a token; nil where the certificate of the connection is to be
	// renewed.
	Secret []byte `json:"secret,omitempty"`
	// Certificate is the request for it, in DER.
	Certificate []byte `json:"certificate"`
	// Host is what the machine calls itself, for the audit.
	Host string `json:"host,omitempty"`
}

// Answer is what the gateway made of a Request.
type Answer struct {
	// Certificate is in DER.
	Certificate []byte `json:"certificate,omitempty"`
	// Authorities are those to trust from now on, in PEM.
	Authorities string `json:"authorities,omitempty"`
	// Doors are the addresses of all gateways; empty for those that are known already.
	Doors []string `json:"doors,omitempty"`
	// Error is set if there is no certificate.
	Error *fault.Error `json:"error,omitempty"`
}

// Write sends a message.
func Write(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a message")
	}
	if len(text) > maxMessage {
		return fault.New(fault.Invalid, "a message of %d bytes: at most %d are permitted", len(text), maxMessage)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

// Read receives a message.
func Read(r io.Reader, message any) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxMessage {
		return fault.New(fault.Invalid, "a message of %d bytes: at most %d are permitted", n, maxMessage)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, message); err != nil {
		return fault.New(fault.Invalid, "a message that is not valid")
	}
	return nil
}
