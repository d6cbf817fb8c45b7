package codec_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/keyring"
)

const setting = "[temporal] encryption_key_file in mcp.toml"

// newCodec returns a codec whose file has some new keys, and the file.
func newCodec(t *testing.T, keys int) (*codec.Codec, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "encryption.keys")
	for range keys {
		_, _, err := keyring.Add(path, false)
		require.NoError(t, err)
	}
	return open(t, path), path
}

func open(t *testing.T, path string) *codec.Codec {
	t.Helper()
	keys, err := keyring.Open(path)
	require.NoError(t, err)
	return codec.New(keys, setting)
}

func payload(t *testing.T, value any) []*common.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return []*common.Payload{p}
}

func TestRoundTrip(t *testing.T) {
	c, _ := newCodec(t, 1)
	for name, value := range map[string]any{
		"a text": "canary", "nothing": nil, "bytes": []byte{0, 1, 2}, "a long text": strings.Repeat("canary ", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			plain := payload(t, value)
			before := proto.Clone(plain[0])
			sealed, err := c.Encode(plain)
			require.NoError(t, err)
			require.True(t, proto.Equal(before, plain[0]), "the payload that is given stays")
			require.NotContains(t, string(sealed[0].Data), "canary")
			require.Equal(t, codec.Encoding, string(sealed[0].Metadata["encoding"]))
			require.Equal(t, c.Keys().Ring().Keys[0].ID, string(sealed[0].Metadata["encryption-key-id"]))
			again, err := c.Encode(plain)
			require.NoError(t, err)
			require.NotEqual(t, sealed[0].Data, again[0].Data, "each has a nonce of its own")
			opened, err := c.Decode(sealed)
			require.NoError(t, err)
			require.True(t, proto.Equal(before, opened[0]))
		})
	}
	t.Run("what is long becomes shorter", func(t *testing.T) {
		sealed, err := c.Encode(payload(t, strings.Repeat("canary ", 10_000)))
		require.NoError(t, err)
		require.Less(t, proto.Size(sealed[0]), 7_000)
	})
	t.Run("what cannot be compressed becomes little longer", func(t *testing.T) {
		random := make([]byte, 1<<20)
		key := keyring.Key{}
		copy(random, key.Seal("noise", nil, random)) // it looks like noise
		plain := payload(t, random)
		sealed, err := c.Encode(plain)
		require.NoError(t, err)
		require.Less(t, proto.Size(sealed[0]), proto.Size(plain[0])+256)
	})
}

func TestWhatIsPlainStaysReadable(t *testing.T) {
	keyed, _ := newCodec(t, 1)
	for name, c := range map[string]*codec.Codec{"with keys": keyed, "without": codec.New(nil, setting)} {
		t.Run(name, func(t *testing.T) {
			plain := payload(t, "old")
			got, err := c.Decode(plain)
			require.NoError(t, err)
			require.True(t, proto.Equal(plain[0], got[0]))
		})
	}
	without := codec.New(nil, setting)
	encoded, err := without.Encode(payload(t, "old"))
	require.NoError(t, err)
	require.Equal(t, "json/plain", string(encoded[0].Metadata["encoding"]))
}

func TestTampering(t *testing.T) {
	c, _ := newCodec(t, 2)
	other := c.Keys().Ring().Keys[1].ID
	for name, change := range map[string]func(*common.Payload){
		"a bit of the text":      func(p *common.Payload) { p.Data[len(p.Data)-1] ^= 1 },
		"a bit of the salt":      func(p *common.Payload) { p.Data[0] ^= 1 },
		"a bit of the nonce":     func(p *common.Payload) { p.Data[20] ^= 1 },
		"nothing left":           func(p *common.Payload) { p.Data = nil },
		"half of it":             func(p *common.Payload) { p.Data = p.Data[:len(p.Data)/2] },
		"the id of another key":  func(p *common.Payload) { p.Metadata["encryption-key-id"] = []byte(other) },
		"more metadata":          func(p *common.Payload) { p.Metadata["messageType"] = []byte("x") },
		"metadata joined anew":   func(p *common.Payload) { p.Metadata["encoding"] = []byte("binary/encryptedx") },
		"the name of the cipher": func(p *common.Payload) { p.Metadata["encryption-cipher"] = []byte("none") },
	} {
		t.Run(name, func(t *testing.T) {
			sealed, err := c.Encode(payload(t, "canary"))
			require.NoError(t, err)
			tampered := proto.Clone(sealed[0]).(*common.Payload)
			change(tampered)
			opened, err := c.Decode([]*common.Payload{tampered})
			if err == nil { // then nothing has been decrypted
				require.True(t, proto.Equal(tampered, opened[0]))
				require.NotContains(t, string(opened[0].Data), "canary")
				return
			}
			require.NotNil(t, refusal.FaultOf(err))
			require.Error(t, c.Check(), "the process is not ready")
		})
	}
}

func TestAMissingOrWrongKeyIsNamed(t *testing.T) {
	c, path := newCodec(t, 1)
	id := c.Keys().Ring().Keys[0].ID
	sealed, err := c.Encode(payload(t, "canary"))
	require.NoError(t, err)

	t.Run("no keys", func(t *testing.T) {
		_, err := codec.New(nil, setting).Decode(sealed)
		require.ErrorContains(t, err, "encrypted with key "+id+", and this process has no encryption keys")
		require.Contains(t, refusal.FaultOf(err).Hint, setting)
		require.True(t, fault.Is(err, fault.Unauthorized))
	})
	t.Run("other keys", func(t *testing.T) {
		other, file := newCodec(t, 1)
		require.NoError(t, other.Check())
		_, err := other.Decode(sealed)
		require.ErrorContains(t, err, "encrypted with key "+id+", which "+file+" (key "+other.Keys().Ring().Keys[0].ID+") does not have")
		require.ErrorContains(t, other.Check(), id)
	})
	t.Run("another key of the same id", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "encryption.keys")
		require.NoError(t, os.WriteFile(file, []byte(id+" "+base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600))
		_, err := open(t, file).Decode(sealed)
		require.ErrorContains(t, err, "cannot be decrypted with key "+id+" of "+file+": it is damaged, or was encrypted with another key of the same id")
	})
	t.Run("a key that arrives later", func(t *testing.T) {
		later, file := newCodec(t, 1)
		_, err := later.Decode(sealed)
		require.Error(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		had, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(had, text...), 0o600))
		_, err = later.Decode(sealed)
		require.NoError(t, err, "the process need not be restarted")
	})
}

func TestRotation(t *testing.T) {
	c, path := newCodec(t, 1)
	old := c.Keys().Ring().Keys[0].ID
	first, err := c.Encode(payload(t, "one"))
	require.NoError(t, err)
	added, _, err := keyring.Add(path, false)
	require.NoError(t, err)

	c = open(t, path)
	second, err := c.Encode(payload(t, "two"))
	require.NoError(t, err)
	require.Equal(t, old, string(second[0].Metadata["encryption-key-id"]), "a new key decrypts alone")

	_, err = keyring.Promote(path, added.ID)
	require.NoError(t, err)
	c = open(t, path)
	third, err := c.Encode(payload(t, "three"))
	require.NoError(t, err)
	require.Equal(t, added.ID, string(third[0].Metadata["encryption-key-id"]))
	_, err = c.Decode([]*common.Payload{first[0], second[0], third[0]})
	require.NoError(t, err)

	_, err = keyring.Remove(path, old)
	require.NoError(t, err)
	_, err = open(t, path).Decode(first)
	require.ErrorContains(t, err, old)
}

func BenchmarkEncode(b *testing.B) {
	path := filepath.Join(b.TempDir(), "encryption.keys")
	_, _, err := keyring.Add(path, false)
	require.NoError(b, err)
	keys, err := keyring.Open(path)
	require.NoError(b, err)
	c := codec.New(keys, setting)
	for name, text := range map[string]string{
		"200B": strings.Repeat("x", 200),
		"8KB":  strings.Repeat(`{"name":"api","image":"registry.example/shop:v1","env":{"A":"b"}},`, 8<<10/66),
	} {
		p, err := converter.GetDefaultDataConverter().ToPayload(text)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sealed, err := c.Encode([]*common.Payload{p})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := c.Decode(sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTheKeysOfAMessageAreKnownWithoutThem(t *testing.T) {
	first, path := newCodec(t, 1)
	one, err := first.Encode(payload(t, "canary"))
	require.NoError(t, err)
	added, _, err := keyring.Add(path, false)
	require.NoError(t, err)
	_, err = keyring.Promote(path, added.ID)
	require.NoError(t, err)
	two, err := open(t, path).Encode(payload(t, "canary"))
	require.NoError(t, err)
	ring, err := keyring.Read(path)
	require.NoError(t, err)
	event := &history.HistoryEvent{Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{
			Input: &common.Payloads{Payloads: append(append(one, two...), payload(t, "plain")...)},
		},
	}}
	found, err := codec.KeysOf(t.Context(), event)
	require.NoError(t, err)
	require.ElementsMatch(t, ring.IDs(), found)
	none, err := codec.KeysOf(t.Context(), &history.HistoryEvent{})
	require.NoError(t, err)
	require.Empty(t, none)
}
