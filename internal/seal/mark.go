package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Mark returns a mark of a text, by which the holder of the private key recognizes it:
// an HMAC with a key derived from that. The same text has another mark under another
// subject.
func (i *Identity) Mark(subject string, text []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(i.private.String()), nil, "mcp mark 1", sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(subject))))
	mac.Write([]byte(subject))
	mac.Write(text)
	return mac.Sum(nil), nil
}
