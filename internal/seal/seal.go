package seal

import (
	"bytes"
	"encoding/binary"
	"io"

	"filippo.io/age"

	"github.com/metacircular/mcp/internal/fault"
)

// Limits of what is sealed, in bytes. Open refuses more, whoever sealed it.
const (
	// MaxSubject is the length of the longest subject.
	MaxSubject = 1 << 10
	// MaxValue is the size of the largest value.
	MaxValue = 1 << 20
)

// Seal encrypts value, under its subject, so that the identity of each key can open
// it. An empty list of keys is Invalid: the result could never be opened.
func Seal(subject string, value []byte, keys ...Key) ([]byte, error) {
	switch {
	case len(keys) == 0:
		return nil, fault.New(fault.Invalid, "%s: no key to seal it to", subject)
	case len(subject) > MaxSubject:
		return nil, fault.New(fault.Invalid, "a subject of %d bytes: at most %d are permitted", len(subject), MaxSubject)
	case len(value) > MaxValue:
		return nil, fault.New(fault.Invalid, "%s: %d bytes: at most %d can be sealed", subject, len(value), MaxValue)
	}
	recipients := make([]age.Recipient, len(keys))
	for i, k := range keys {
		recipient, err := age.ParseX25519Recipient(k.text)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s: key %d is no X25519 key", subject, i+1)
		}
		recipients[i] = recipient
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipients...)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "sealing %s", subject)
	}
	for _, part := range [][]byte{framed(subject), value} {
		if _, err := w.Write(part); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "sealing %s", subject)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "sealing %s", subject)
	}
	return sealed.Bytes(), nil
}

// Open decrypts what was sealed to this identity's key under the same subject. What
// was sealed to other keys is Unauthorized; what is damaged, or has another subject,
// is Invalid. No error holds a part of the value.
func (i *Identity) Open(subject string, sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), i.private)
	if err != nil {
		return nil, refused(subject, i.Key(), err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, 2+MaxSubject+MaxValue+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "opening %s: the sealed value is damaged", subject)
	}
	value, named := bytes.CutPrefix(plain, framed(subject))
	switch {
	case !named:
		return nil, fault.New(fault.Invalid, "opening %s: the value was sealed for another use", subject)
	case len(value) > MaxValue:
		return nil, fault.New(fault.Invalid, "opening %s: more than %d bytes", subject, MaxValue)
	}
	return value, nil
}

// framed returns the subject behind its length, so that no subject with the beginning
// of a value equals another subject.
func framed(subject string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(subject))), subject...)
}
