package secrets_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
)

const value = "hunter2-canary"

var ref = secrets.Ref{Service: "shop", Name: "db", Version: 7}

// party is a node and its key.
type party struct {
	identity *seal.Identity
	secrets.Recipient
}

func newParty(t *testing.T, name string) party {
	t.Helper()
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	return party{identity, secrets.Recipient{Name: name, Key: identity.Key()}}
}

func newSigner(t *testing.T) secrets.SigningKey {
	t.Helper()
	text, err := secrets.GenerateSigningKey()
	require.NoError(t, err)
	key, err := secrets.ParseSigningKey(text)
	require.NoError(t, err)
	return key
}

func sealed(t *testing.T, r secrets.Ref, by secrets.SigningKey, to ...secrets.Recipient) secrets.Envelope {
	t.Helper()
	e, err := secrets.Seal(r, []byte(value), to, by)
	require.NoError(t, err)
	return e
}

func (p party) reader(signers ...secrets.SigningKey) secrets.Reader {
	r := secrets.Reader{Node: p.Name, Identity: p.identity}
	for _, s := range signers {
		r.Signers = append(r.Signers, s.Signer())
	}
	return r
}

func TestANodeOpensWhatIsAddressedToIt(t *testing.T) {
	operator, rift, orion := newSigner(t), newParty(t, "rift"), newParty(t, "orion")
	recovery := newParty(t, "safe").Recipient
	recovery.Recovery = true
	e := sealed(t, ref, operator, recovery, orion.Recipient, rift.Recipient, rift.Recipient)
	require.Equal(t, []secrets.Recipient{orion.Recipient, rift.Recipient, recovery}, e.Recipients, "in one order, each once")

	text, err := json.Marshal(e)
	require.NoError(t, err)
	require.NotContains(t, string(text), value)
	var travelled secrets.Envelope
	require.NoError(t, json.Unmarshal(text, &travelled))
	for _, node := range []party{rift, orion} {
		opened, err := node.reader(newSigner(t), operator).Open(ref, travelled)
		require.NoError(t, err)
		require.Equal(t, value, string(opened))
	}
}

// TestANodeRefusesHostileEnvelopes changes one thing at a time, as one could who controls
// Temporal and Postgres, and may seal to any key, which is public.
func TestANodeRefusesHostileEnvelopes(t *testing.T) {
	operator, stranger := newSigner(t), newSigner(t)
	rift, orion := newParty(t, "rift"), newParty(t, "orion")
	good := sealed(t, ref, operator, rift.Recipient)
	other := func(service, name string, version int) secrets.Envelope {
		return sealed(t, secrets.Ref{Service: service, Name: name, Version: version}, operator, rift.Recipient)
	}
	changed := func(change func(*secrets.Envelope)) secrets.Envelope {
		e := good
		e.Recipients, e.Sealed, e.Signature = append([]secrets.Recipient{}, e.Recipients...), bytes.Clone(e.Sealed), bytes.Clone(e.Signature)
		change(&e)
		return e
	}
	raw, err := seal.Seal(ref.Subject(), []byte("planted"), rift.Key)
	require.NoError(t, err)
	elsewhere, err := seal.Seal("secret/shop/db/6", []byte("planted"), rift.Key)
	require.NoError(t, err)
	resigned := sealed(t, ref, stranger, rift.Recipient)

	for name, c := range map[string]struct {
		envelope secrets.Envelope
		kind     fault.Kind
		says     string
	}{
		"of another service":          {other("shop-staging", "db", 7), fault.Invalid, "shop-staging"},
		"of another name":             {other("shop", "dbx", 7), fault.Invalid, "dbx"},
		"of another version":          {other("shop", "db", 6), fault.Invalid, "version 6"},
		"of another version, renamed": {changed(func(e *secrets.Envelope) { *e = other("shop", "db", 6); e.Version = 7 }), fault.Unauthorized, "signature"},
		"for another node":            {sealed(t, ref, operator, orion.Recipient), fault.Unauthorized, "not sealed to node rift"},
		"for another node, readdressed": {changed(func(e *secrets.Envelope) {
			*e = sealed(t, ref, operator, orion.Recipient)
			e.Recipients[0].Name = "rift"
		}), fault.Unauthorized, "signature"},
		"for another key of the node":       {sealed(t, ref, operator, newParty(t, "rift").Recipient), fault.Unauthorized, "another key of node rift"},
		"for a recovery key of its name":    {sealed(t, ref, operator, secrets.Recipient{Name: "rift", Recovery: true, Key: rift.Key}), fault.Unauthorized, "not sealed to node rift"},
		"without a signature":               {changed(func(e *secrets.Envelope) { e.Signature = nil }), fault.Unauthorized, "not signed"},
		"without a signer":                  {changed(func(e *secrets.Envelope) { e.Signer = secrets.Signer{} }), fault.Unauthorized, "not signed"},
		"signed by a stranger":              {resigned, fault.Unauthorized, "does not trust"},
		"signed by a stranger, in its name": {changed(func(e *secrets.Envelope) { e.Signature = resigned.Signature }), fault.Unauthorized, "signature"},
		"with a value that was planted":     {changed(func(e *secrets.Envelope) { e.Sealed = raw }), fault.Unauthorized, "signature"},
		"with the value of another version": {changed(func(e *secrets.Envelope) { e.Sealed = elsewhere }), fault.Unauthorized, "signature"},
		"cut in the middle":                 {changed(func(e *secrets.Envelope) { e.Sealed = e.Sealed[:len(e.Sealed)-9] }), fault.Unauthorized, "signature"},
		"with half a signature":             {changed(func(e *secrets.Envelope) { e.Signature = e.Signature[:32] }), fault.Unauthorized, "signature"},
		"with a signature of 10 MB":         {changed(func(e *secrets.Envelope) { e.Signature = make([]byte, 10<<20) }), fault.Unauthorized, "signature"},
		"of 10 MB":                          {changed(func(e *secrets.Envelope) { e.Sealed = make([]byte, 10<<20) }), fault.Invalid, "at most"},
		"with a name of 10 MB":              {changed(func(e *secrets.Envelope) { e.Name = strings.Repeat("x", 10<<20) }), fault.Invalid, "version 7"},
		"with 100,000 recipients":           {changed(func(e *secrets.Envelope) { e.Recipients = make([]secrets.Recipient, 100_000) }), fault.Invalid, "recipients"},
		"with one more recipient":           {changed(func(e *secrets.Envelope) { e.Recipients = append(e.Recipients, orion.Recipient) }), fault.Invalid, "order"},
		"with no recipient":                 {changed(func(e *secrets.Envelope) { e.Recipients = nil }), fault.Invalid, "recipients"},
		"that is empty":                     {secrets.Envelope{}, fault.Invalid, "version 0"},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := rift.reader(operator).Open(ref, c.envelope)
			require.Error(t, err)
			require.Nil(t, opened)
			require.Equal(t, c.kind, fault.Of(err).Kind, "%v", err)
			require.ErrorContains(t, err, c.says)
			require.Less(t, len(err.Error()), 1000)
			require.NotContains(t, err.Error(), value)
		})
	}
	opened, err := rift.reader(operator).Open(ref, good)
	require.NoError(t, err, "what they were made of")
	require.Equal(t, value, string(opened))
}

func TestANodeThatTrustsNoSignerSaysWhatToAdd(t *testing.T) {
	operator, rift := newSigner(t), newParty(t, "rift")
	_, err := rift.reader().Open(ref, sealed(t, ref, operator, rift.Recipient))
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	require.Contains(t, fault.Of(err).Hint, "mcp secret signer")

	keyless := secrets.Reader{Node: "rift", Signers: []secrets.Signer{operator.Signer()}}
	_, err = keyless.Open(ref, sealed(t, ref, operator, rift.Recipient))
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
}

func TestSealRefuses(t *testing.T) {
	operator, to := newSigner(t), []secrets.Recipient{newParty(t, "rift").Recipient}
	many := make([]secrets.Recipient, 0, secrets.MaxRecipients+1)
	for range secrets.MaxRecipients + 1 {
		many = append(many, newParty(t, "rift").Recipient)
	}
	for name, c := range map[string]struct {
		ref   secrets.Ref
		value []byte
		to    []secrets.Recipient
	}{
		"an empty value":      {ref, nil, to},
		"a value too large":   {ref, make([]byte, secrets.MaxValue+1), to},
		"no recipient":        {ref, []byte(value), nil},
		"too many recipients": {ref, []byte(value), many},
		"no version":          {secrets.Ref{Service: "shop", Name: "db"}, []byte(value), to},
		"no service":          {secrets.Ref{Service: "Shop!", Name: "db", Version: 1}, []byte(value), to},
		"a name with a slash": {secrets.Ref{Service: "shop", Name: "a/b", Version: 1}, []byte(value), to},
		"a name too long":     {secrets.Ref{Service: "shop", Name: strings.Repeat("a", secrets.MaxName+1), Version: 1}, []byte(value), to},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := secrets.Seal(c.ref, c.value, c.to, operator)
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			require.NotContains(t, err.Error(), value)
		})
	}
	largest, err := secrets.Seal(ref, bytes.Repeat([]byte{255}, secrets.MaxValue), many[:secrets.MaxRecipients], operator)
	require.NoError(t, err)
	text, err := json.Marshal(largest)
	require.NoError(t, err)
	require.Less(t, len(text), 512<<10, "Temporal warns of an input beyond that")
}

func TestMarksRecognizeValues(t *testing.T) {
	operator := newSigner(t)
	mark := func(by secrets.SigningKey, service, name, value string) string {
		m, err := by.Mark(service, name, []byte(value))
		require.NoError(t, err)
		require.Len(t, m, secrets.MarkSize)
		return string(m)
	}
	same := mark(operator, "shop", "db", value)
	require.Equal(t, same, mark(operator, "shop", "db", value))
	for _, other := range []string{
		mark(operator, "shop", "db", value+"\n"), mark(operator, "shop", "dbx", value), mark(operator, "shopd", "b", value),
		mark(operator, "shop", "d", "b"+value), mark(newSigner(t), "shop", "db", value),
	} {
		require.NotEqual(t, same, other)
	}
}

func TestSignersAsText(t *testing.T) {
	signer := newSigner(t).Signer()
	parsed, err := secrets.ParseSigner(signer.String())
	require.NoError(t, err)
	require.Equal(t, signer, parsed)
	for _, bad := range []string{"", "ed25519:", "ed25519:" + strings.Repeat("A", 42), signer.String() + "A", strings.TrimPrefix(signer.String(), "ed25519:"), strings.Repeat("ed25519:", 1<<20)} {
		_, err := secrets.ParseSigner(bad)
		require.True(t, fault.Is(err, fault.Invalid), "%.50q", bad)
		require.Less(t, len(err.Error()), 400)
	}
	_, err = secrets.ParseSigningKey("MCP-SIGNING-KEY-" + value)
	require.Error(t, err)
	require.NotContains(t, err.Error(), value)
}

func TestNoTwoVersionsHaveOneName(t *testing.T) {
	names := map[string]secrets.Ref{}
	for _, r := range []secrets.Ref{
		{Service: "a", Name: "b-c", Version: 1}, {Service: "a-b", Name: "c", Version: 1}, {Service: "a", Name: "b.v1", Version: 1},
		{Service: "a", Name: "b", Version: 1}, {Service: "a", Name: "b", Version: 11}, {Service: "a", Name: "b.v1.v1", Version: 1},
	} {
		require.NoError(t, r.Check())
		require.NotContains(t, names, r.EngineName())
		names[r.EngineName()] = r
	}
}
