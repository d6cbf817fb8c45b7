package codec

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/metacircular/mcp/internal/keyring"
)

// An envelope in an envelope would be stored as it is, and could not be read later.
func TestAGatewayOpensNoEnvelopeInAnEnvelope(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	key, _, err := keyring.Add(path, false)
	require.NoError(t, err)
	keys, err := keyring.Open(path)
	require.NoError(t, err)
	seal := func(p *common.Payload) *common.Payload {
		packed, err := pack(p)
		require.NoError(t, err)
		metadata := map[string][]byte{metaEncoding: []byte(Encoding), metaCipher: []byte(keyring.Cipher), metaKey: []byte(key.ID)}
		return &common.Payload{Metadata: metadata, Data: key.Seal(purpose, bind(metadata), packed)}
	}
	once := seal(&common.Payload{Data: []byte("canary")})
	gateway := New(keys, "").AtGateway(1 << 20)
	request := func(p *common.Payload) *workflowservice.RespondActivityTaskCompletedRequest {
		return &workflowservice.RespondActivityTaskCompletedRequest{Result: &common.Payloads{Payloads: []*common.Payload{p}}}
	}
	require.ErrorContains(t, gateway.Open(t.Context(), request(seal(once))), "encrypted twice")
	opened := request(once)
	require.NoError(t, gateway.Open(t.Context(), opened))
	require.Equal(t, "canary", string(opened.GetResult().GetPayloads()[0].GetData()))
	require.NoError(t, gateway.Check())
}
