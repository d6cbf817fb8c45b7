package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cipher names the encryption of [Key.Seal].
const Cipher = "AES-256-GCM"

const (
	secretSize = 32
	saltSize   = 16
	nonceSize  = 12
	tagSize    = 16
)

// Overhead is how many bytes longer a sealed value is than the value.
const Overhead = saltSize + nonceSize + tagSize

// Key is a secret key and its public name.
type Key struct {
	ID     string
	secret [secretSize]byte
}

// String returns the name alone: a key is printed nowhere.
func (k Key) String() string { return k.ID }

// GoString returns the name alone.
func (k Key) GoString() string { return "keyring.Key(" + k.ID + ")" }

// Generate returns a new key. Its name has the day and, so that two keys of one day
// differ, a digest of the key.
func Generate(now time.Time) Key {
	var k Key
	_, _ = rand.Read(k.secret[:]) // it never fails
	k.ID = now.UTC().Format("20060102") + "-" + digest(k.secret[:])
	return k
}

// digest is six characters of a digest of a key. The key has 256 random bits: nothing
// of it can be found from these thirty.
func digest(secret []byte) string {
	sum := sha256.Sum256(append([]byte("mcp encryption key id\x00"), secret...))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:6])
}

var idPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`) })

// parse reads a key: its name and 32 bytes in base64. The error quotes neither.
func parse(id, secret string) (Key, error) {
	k := Key{ID: id}
	if !idPattern().MatchString(id) {
		return k, errors.New("the id of a key consists of a-z, 0-9, dot, - and _, at most 63 of them")
	}
	text, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(text) != secretSize {
		return k, fmt.Errorf("key %s must be %d bytes in base64", id, secretSize)
	}
	copy(k.secret[:], text)
	return k, nil
}

// text is the line of the key in a file.
func (k Key) text() string { return k.ID + " " + base64.StdEncoding.EncodeToString(k.secret[:]) }

// equal reports whether two keys have the same secret.
func (k Key) equal(other Key) bool { return k.secret == other.secret }

// Seal encrypts a value for one purpose. Bound is authenticated with it and is not part
// of the result: whoever opens the value must give the same. Each call derives a key of
// its own, from the key, the purpose and a random salt, so that there is no number of
// values after which a random nonce could repeat.
func (k Key) Seal(purpose string, bound, value []byte) []byte {
	sealed := make([]byte, saltSize+nonceSize, len(value)+Overhead)
	_, _ = rand.Read(sealed) // it never fails
	aead := k.derive(purpose, sealed[:saltSize])
	return aead.Seal(sealed, sealed[saltSize:], value, bound)
}

// Open is the inverse of [Key.Seal]. An error means that the value was changed, that it
// was sealed for another purpose or bound to something else, or that it was sealed with
// another key of this name.
func (k Key) Open(purpose string, bound, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errChanged
	}
	salt, nonce, text := sealed[:saltSize], sealed[saltSize:saltSize+nonceSize], sealed[saltSize+nonceSize:]
	value, err := k.derive(purpose, salt).Open(nil, nonce, text, bound)
	if err != nil {
		return nil, errChanged
	}
	return value, nil
}

var errChanged = errors.New("it is damaged, or was encrypted with another key of the same id")

func (k Key) derive(purpose string, salt []byte) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, k.secret[:], salt, "mcp "+Cipher+" "+purpose, secretSize)
	if err != nil {
		panic(err) // the length is a constant
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // likewise
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the size of block that GCM wants
	}
	return aead
}

// Bind encodes words so that no two lists of them have one encoding, for [Key.Seal].
func Bind(words ...string) []byte {
	bound := binary.AppendUvarint(nil, uint64(len(words)))
	for _, word := range words {
		bound = binary.AppendUvarint(bound, uint64(len(word)))
		bound = append(bound, word...)
	}
	return slices.Clip(bound)
}
