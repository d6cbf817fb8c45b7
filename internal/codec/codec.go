package codec

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
)

// The metadata of an encrypted payload, by the names that Temporal's own examples use.
// All of it is authenticated with the payload.
const (
	metaEncoding = converter.MetadataEncoding
	metaKey      = "encryption-key-id"
	metaCipher   = "encryption-cipher"
	// Encoding is the encoding of an encrypted payload.
	Encoding = "binary/encrypted"
)

// purpose keeps what is sealed here apart from what is sealed elsewhere.
const purpose = "temporal payload"

// How the plain payload is packed before it is encrypted: its first byte.
const (
	packedPlain   = 0
	packedDeflate = 1
)

const (
	// compressFrom is the size from which payloads are compressed. A compressor costs
	// 20 µs to set up, and a short text gains nothing.
	compressFrom = 1 << 10
	// maxPayload bounds an unpacked payload. Temporal accepts none above 2 MiB.
	maxPayload = 64 << 20
)

// Codec is a converter.PayloadCodec. It is safe for use by many goroutines.
type Codec struct {
	keys *keyring.Keys // nil for none
	// setting is where the keys are configured, and place whose they are, for errors.
	setting, place string
	// behind is set for a client of a gateway, and most, for a gateway, bounds what a
	// message has in the clear, in bytes; 0 is no bound.
	behind bool
	most   int

	mu sync.Mutex
	// unread is the last refusal, and when it was.
	unread   *fault.Error
	unreadAt time.Time
	asked    tokens
}

var _ converter.PayloadCodec = (*Codec)(nil)

// New returns a codec with the given keys; nil keys encrypt nothing. Setting says where
// they are configured, such as "[temporal] encryption_key_file in /etc/mcp/mcp.toml".
func New(keys *keyring.Keys, setting string) *Codec {
	return &Codec{keys: keys, setting: setting, place: thisProcess}
}

// Keys returns the keys; nil if there are none.
func (c *Codec) Keys() *keyring.Keys { return c.keys }

// Setting returns where the keys are configured.
func (c *Codec) Setting() string { return c.setting }

// Encode encrypts payloads with the current key. Those that are encrypted already stay:
// they could not be decrypted where they came from.
func (c *Codec) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	key, ok := c.current()
	if !ok {
		return payloads, nil
	}
	return encode(key, payloads)
}

// current returns the key that encrypts; false if none does.
func (c *Codec) current() (keyring.Key, bool) {
	if c.keys == nil {
		return keyring.Key{}, false
	}
	return c.keys.Current()
}

func encode(key keyring.Key, payloads []*common.Payload) ([]*common.Payload, error) {
	encoded := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		if p == nil || isEncrypted(p) {
			encoded[i] = p
			continue
		}
		packed, err := pack(p)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "encode a payload for Temporal")
		}
		metadata := map[string][]byte{metaEncoding: []byte(Encoding), metaCipher: []byte(keyring.Cipher), metaKey: []byte(key.ID)}
		encoded[i] = &common.Payload{Metadata: metadata, Data: key.Seal(purpose, bind(metadata), packed)}
	}
	return encoded, nil
}

// Decode decrypts payloads. Plain ones stay: they are from before the keys, or from a
// process that does not encrypt yet.
func (c *Codec) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	return c.decode(payloads, nil)
}

func (c *Codec) decode(payloads []*common.Payload, within *budget) ([]*common.Payload, error) {
	decoded := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		if p == nil || !isEncrypted(p) {
			decoded[i] = p
			continue
		}
		plain, refused := c.open(p, within)
		switch {
		case refused == nil:
			decoded[i] = plain
		case errors.Is(refused, errTooLarge): // which is not for lack of a key
			return nil, refusal.New(refused)
		default:
			return nil, c.refuse(refused)
		}
	}
	return decoded, nil
}

// decodeSome decrypts the payloads that it can.
func (c *Codec) decodeSome(payloads []*common.Payload, within *budget) ([]*common.Payload, error) {
	decoded := slices.Clone(payloads)
	for i, p := range payloads {
		if p == nil || !isEncrypted(p) {
			continue
		}
		if plain, refused := c.open(p, within); refused == nil {
			decoded[i] = plain
		}
	}
	return decoded, nil
}

func isEncrypted(p *common.Payload) bool { return string(p.GetMetadata()[metaEncoding]) == Encoding }

// open decrypts one payload.
func (c *Codec) open(p *common.Payload, within *budget) (*common.Payload, *fault.Error) {
	id, cipher := string(p.Metadata[metaKey]), string(p.Metadata[metaCipher])
	if c.keys == nil {
		return nil, c.noKeys(id)
	}
	key, ok := c.keys.Find(id)
	if !ok {
		return nil, c.noKey(id)
	}
	if cipher != keyring.Cipher {
		return nil, fault.New(fault.Invalid, "a payload in Temporal is encrypted with %q, which this mcp does not know", clip(cipher))
	}
	packed, err := key.Open(purpose, bind(p.Metadata), p.Data)
	if err != nil {
		return nil, wrongKey(id, c.keys, err)
	}
	plain, err := unpack(packed, within)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read a payload that was encrypted with key %s", id)
	}
	return plain, nil
}

// bind encodes metadata, for the authentication.
func bind(metadata map[string][]byte) []byte {
	words := []string{"payload"}
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		words = append(words, name, string(metadata[name]))
	}
	return keyring.Bind(words...)
}

// pack encodes a payload with its own metadata, and compresses it if that helps.
func pack(p *common.Payload) ([]byte, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{packedPlain}, p)
	if err != nil || len(text) < compressFrom {
		return text, err
	}
	var short bytes.Buffer
	short.WriteByte(packedDeflate)
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(&short)
	if _, err := w.Write(text[1:]); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil || short.Len() >= len(text) {
		return text, err
	}
	return short.Bytes(), nil
}

// compressors are reused: each has more than half a megabyte.
var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// errTooLarge is the error of a payload that is larger than what is read.
var errTooLarge = errors.New("too much is in the clear")

// unpack is the inverse of pack.
func unpack(packed []byte, within *budget) (*common.Payload, error) {
	if len(packed) == 0 {
		return nil, errors.New("it is empty")
	}
	text, most := packed[1:], within.allows()
	switch packed[0] {
	case packedPlain:
	case packedDeflate:
		r := flate.NewReader(bytes.NewReader(text))
		var err error
		if text, err = io.ReadAll(io.LimitReader(r, int64(most)+1)); err != nil {
			return nil, fmt.Errorf("decompress it: %w", err)
		}
	default:
		return nil, fmt.Errorf("it is packed in a way (%d) that this mcp does not know", packed[0])
	}
	if len(text) > most {
		return nil, fmt.Errorf("%w: %s", errTooLarge, within)
	}
	within.use(len(text))
	p := &common.Payload{}
	if err := proto.Unmarshal(text, p); err != nil {
		return nil, err
	}
	return p, nil
}

// clip shortens what comes from outside.
func clip(text string) string {
	if len(text) > 64 {
		return text[:64] + "…"
	}
	return text
}
