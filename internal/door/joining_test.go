package door_test

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/door"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

func TestTokens(t *testing.T) {
	r := start(t, nil)
	token := r.token(rift)
	_, err := enrol.Join(bounded(t), token)
	require.NoError(t, err)
	_, err = enrol.Join(bounded(t), token)
	require.True(t, fault.Is(err, fault.Unauthorized), "a second machine: %v", err)

	other := r.token(rift)
	other.Authority = identity.HashSecret(nil)
	_, err = enrol.Join(bounded(t), other)
	require.ErrorContains(t, err, "has another authority than the token names")
	require.NotContains(t, r.used, identity.HashSecret(other.Secret), "the token was not sent")

	t.Run("while Postgres is away, joins wait and say nothing of it", func(t *testing.T) {
		token, d := r.token(anna), r.joined(rift)
		r.goAway(fault.New(fault.Unavailable, "connect to 10.9.8.7: connection refused"))
		_, err := enrol.Join(bounded(t), token)
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.NotContains(t, err.Error(), "10.9.8.7")
		r.Refresh(bounded(t))
		_, err = r.client(d).Check(bounded(t), &healthpb.HealthCheckRequest{})
		require.NoError(t, err, "a known identity works")
		require.Equal(t, rift, <-r.api.callers)
		require.ErrorContains(t, r.State().ListError, "10.9.8.7")
		r.goAway(nil)
		_, err = enrol.Join(bounded(t), token)
		require.NoError(t, err)
	})
}

func TestRenewal(t *testing.T) {
	r := start(t, nil)
	d := r.joined(rift)
	before, err := d.Read()
	require.NoError(t, err)
	require.NoError(t, enrol.Renew(bounded(t), []string{"127.0.0.1:1", r.address}, d))
	after, err := d.Read()
	require.NoError(t, err)
	require.NotEqual(t, before.Certificate.SerialNumber, after.Certificate.SerialNumber)
	require.Equal(t, rift, after.Identity)

	r.revoke("1")
	r.Refresh(bounded(t))
	err = enrol.Renew(bounded(t), []string{r.address}, d)
	require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	require.ErrorContains(t, err, "the identity node/rift is revoked")
}

// TestOperatorsManageIdentities has an operator create, list and revoke, and others not.
func TestOperatorsManageIdentities(t *testing.T) {
	r := start(t, func(o *door.Options) { o.Namespace = "fleet" })
	dir, doors := r.joined(anna), []string{r.address}
	ci := identity.Identity{Role: identity.Deployer, Name: "ci", Services: []string{"shop"}}
	token, request := enrol.NewToken(identity.Creation{Identity: ci, TokenLife: time.Hour})
	answer, err := enrol.Ask(bounded(t), doors, dir, request)
	require.NoError(t, err)
	token, err = enrol.Complete(token, answer)
	require.NoError(t, err)
	joined, err := enrol.Join(bounded(t), token)
	require.NoError(t, err)
	require.Equal(t, []string{"shop"}, joined.Identity.Services)
	require.Equal(t, "fleet", joined.Namespace)
	require.NotContains(t, fmt.Sprintf("%v", r.created), hex.EncodeToString(token.Secret))

	answer, err = enrol.Ask(bounded(t), doors, dir, enrol.Request{List: true})
	require.NoError(t, err)
	require.Len(t, answer.Identities, 2)

	ciDir := identity.Directory(filepath.Join(t.TempDir(), "ci"))
	require.NoError(t, joined.Save(ciDir))
	for _, d := range []identity.Directory{ciDir, r.joined(rift)} {
		for _, request := range []enrol.Request{{List: true}, {Revoke: "operator/anna"}, request} {
			_, err := enrol.Ask(bounded(t), doors, d, request)
			require.ErrorContains(t, err, "may not see or change identities: operators may")
		}
	}

	_, err = enrol.Ask(bounded(t), doors, dir, enrol.Request{Revoke: "deployer/ci"})
	require.NoError(t, err)
	_, err = r.client(ciDir).Check(bounded(t), &healthpb.HealthCheckRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err), "at once, at this gateway: %v", err)

	for want, request := range map[string]enrol.Request{
		"there is no identity node/orion": {Revoke: "node/orion"},
		"is no identity":                  {Revoke: "orion"},
		"the hash of the token":           {Create: &identity.Creation{Identity: ci, TokenLife: time.Hour}},
		"a token cannot live for":         {Create: &identity.Creation{Identity: ci, Hash: identity.HashSecret(nil)}},
		"a certificate cannot live for":   {Create: &identity.Creation{Identity: ci, Hash: identity.HashSecret(nil), TokenLife: time.Hour, Life: time.Minute}},
		"names no service":                {Create: &identity.Creation{Identity: identity.Identity{Role: identity.Reader, Name: "eve"}, Hash: identity.HashSecret(nil), TokenLife: time.Hour}},
	} {
		_, err := enrol.Ask(bounded(t), doors, dir, request)
		require.ErrorContains(t, err, want)
	}

	var audited []string
	for _, e := range r.audit {
		require.False(t, e.Claimed)
		audited = append(audited, strings.TrimSpace(e.Who+" "+e.Verb+" "+e.Detail+" "+e.Node+" "+e.Outcome))
	}
	for _, want := range []string{
		"operator/anna join operator/anna", "operator/anna identity create deployer/ci", "operator/anna identity create deployer/ci  succeeded",
		"deployer/ci join deployer/ci", "node/rift join node/rift rift", "operator/anna identity revoke deployer/ci  succeeded",
	} {
		require.Contains(t, audited, want)
	}
}
