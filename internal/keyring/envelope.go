package keyring

import (
	"bytes"
	"errors"

	"github.com/metacircular/mcp/internal/fault"
)

// format is the first byte of an envelope.
const format = 1

// Enclose encrypts a value with the key, like [Key.Seal], and names the key.
func (k Key) Enclose(purpose string, bound, value []byte) []byte {
	return append(k.Prefix(), k.Seal(purpose, bound, value)...)
}

// Prefix returns the bytes with which each envelope of the key begins.
func (k Key) Prefix() []byte { return append([]byte{format, byte(len(k.ID))}, k.ID...) }

// KeyOf returns the name of the key of an envelope; "" if it is none.
func KeyOf(envelope []byte) string {
	if len(envelope) < 2 || envelope[0] != format || len(envelope) < 2+int(envelope[1]) {
		return ""
	}
	return string(envelope[2 : 2+envelope[1]])
}

// Disclose is the inverse of [Key.Enclose]. Of names what the envelope holds, for the
// error, which names the key and the file. Nil keys are none.
func (k *Keys) Disclose(of, purpose string, bound, envelope []byte) ([]byte, error) {
	id := KeyOf(envelope)
	switch {
	case id == "":
		return nil, fault.New(fault.Invalid, "%s: the encrypted value is damaged", of)
	case k == nil:
		return nil, fault.New(fault.Unauthorized, "%s is encrypted with key %s, and this process has no encryption keys", of, id).
			WithHint("copy the file of keys from another host, and name it: [temporal] encryption_key_file in mcp.toml")
	}
	key, ok := k.Find(id)
	if !ok {
		return nil, fault.New(fault.Unauthorized, "%s is encrypted with key %s, which %s does not have", of, id, k.path).
			WithHint("copy the file of keys from another host of the fleet")
	}
	value, err := key.Open(purpose, bound, envelope[len(key.Prefix()):])
	if err != nil {
		return nil, fault.Wrap(fault.Unauthorized, err, "%s cannot be decrypted with key %s of %s", of, id, k.path)
	}
	return value, nil
}

// proofPurpose is the purpose of [Key.Proof].
const proofPurpose = "proof of a key"

var proofText = []byte("mcp")

// Proof returns an envelope by which Proves recognizes the key.
func (k Key) Proof() []byte { return k.Enclose(proofPurpose, []byte(k.ID), proofText) }

// Proves returns an error unless the keys include the key of a proof.
func (k *Keys) Proves(of string, proof []byte) error {
	text, err := k.Disclose(of, proofPurpose, []byte(KeyOf(proof)), proof)
	if err == nil && !bytes.Equal(text, proofText) {
		err = errors.New(of + ": the proof of its key is damaged")
	}
	return err
}
