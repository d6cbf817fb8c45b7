package who_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/door/who"
)

func TestWhatIsSignedIsVerifiedByTheKeyAsText(t *testing.T) {
	signer, err := who.NewSigner([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	key, err := who.ParseKey(signer.Key().String())
	require.NoError(t, err)
	signature := signer.Sign("deploy/shop", "Deploy", []byte(`{"who":"operator/anna"}`))
	require.True(t, key.Verify("deploy/shop", "Deploy", []byte(`{"who":"operator/anna"}`), signature))
	for name, verified := range map[string]bool{
		"another id":        key.Verify("deploy/bank", "Deploy", []byte(`{"who":"operator/anna"}`), signature),
		"another type":      key.Verify("deploy/shop", "Purge", []byte(`{"who":"operator/anna"}`), signature),
		"another actor":     key.Verify("deploy/shop", "Deploy", []byte(`{"who":"operator/root"}`), signature),
		"moved boundaries":  key.Verify("deploy/sho", "pDeploy", []byte(`{"who":"operator/anna"}`), signature),
		"no signature":      key.Verify("deploy/shop", "Deploy", []byte(`{"who":"operator/anna"}`), nil),
		"no key":            who.Key(nil).Verify("deploy/shop", "Deploy", []byte(`{"who":"operator/anna"}`), signature),
		"a short signature": key.Verify("deploy/shop", "Deploy", []byte(`{"who":"operator/anna"}`), signature[:10]),
	} {
		require.False(t, verified, name)
	}
	for _, text := range []string{"", "x", "AAAA", strings.Repeat("A", 100)} {
		_, err := who.ParseKey(text)
		require.Error(t, err, text)
	}
}
