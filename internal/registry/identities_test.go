package registry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
)

// enrolling creates identities and uses their tokens.
type enrolling struct {
	*testing.T
	*registry.Store
	made int
}

func (e *enrolling) create(who identity.Identity, change ...func(*identity.Creation)) (id, hash string) {
	e.Helper()
	e.made++
	who.ID = fmt.Sprintf("%02x", e.made)
	c := identity.Creation{Identity: who, Hash: identity.HashSecret([]byte(who.ID)), TokenLife: time.Hour}
	for _, f := range change {
		f(&c)
	}
	require.NoError(e, e.CreateIdentity(e.Context(), c, "operator/anna", entries("identity create", who)))
	return who.ID, c.Hash
}

func entries(verb string, who identity.Identity) []fleet.AuditEntry {
	begun := fleet.AuditEntry{Key: verb + who.String() + who.ID, At: time.Now(), Actor: fleet.Actor{Who: "operator/anna"}, Action: fleet.Action{Verb: verb, Detail: who.String()}}
	ended := begun
	ended.Outcome = "succeeded"
	return []fleet.AuditEntry{begun, ended}
}

func (e *enrolling) use(hash, key string) (identity.Enrolled, error) {
	use := identity.TokenUse{Hash: hash, Key: key, From: "rift (10.0.0.5)", Life: identity.DefaultLife}
	return e.UseToken(e.Context(), use, func(who identity.Identity) []fleet.AuditEntry { return entries("join", who) })
}

func (e *enrolling) revokedIDs() []string {
	e.Helper()
	ids, err := e.RevokedIdentities(e.Context())
	require.NoError(e, err)
	return ids
}

func TestIdentities(t *testing.T) {
	store, _ := newStore(t)
	e := &enrolling{T: t, Store: store}
	rift := identity.Identity{Role: identity.Node, Name: "rift"}
	ci := identity.Identity{Role: identity.Deployer, Name: "ci", Services: []string{"shop", "bank"}, Grants: []identity.Grant{identity.Exec}}

	first, hash := e.create(rift)
	got, err := e.use(hash, "key-1")
	require.NoError(t, err)
	require.Equal(t, identity.Enrolled{Identity: identity.Identity{Role: identity.Node, Name: "rift", ID: first}, Life: identity.DefaultLife}, got)

	t.Run("a token is used by one key, which may repeat it", func(t *testing.T) {
		_, err := e.use(hash, "key-2")
		require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
		require.ErrorContains(t, err, "it was used already")
		again, err := e.use(hash, "key-1")
		require.NoError(t, err)
		require.Equal(t, got, again)
		_, err = e.use(identity.HashSecret([]byte("guess")), "key-1")
		require.ErrorContains(t, err, "the token is refused: it is not known")
	})

	t.Run("of many machines that use a token at once, one gets it", func(t *testing.T) {
		_, hash := e.create(identity.Identity{Role: identity.Node, Name: "orion"})
		var all sync.WaitGroup
		won := make(chan bool, 8)
		for i := range 8 {
			all.Go(func() {
				_, err := e.use(hash, fmt.Sprint("key-", i))
				won <- err == nil
			})
		}
		all.Wait()
		close(won)
		winners := 0
		for w := range won {
			if w {
				winners++
			}
		}
		require.Equal(t, 1, winners)
	})

	t.Run("a new one replaces it when its token is used, not before", func(t *testing.T) {
		void, voidHash := e.create(rift)
		second, hash := e.create(rift)
		require.NotEqual(t, void, second)
		_, err := e.use(voidHash, "key-3")
		require.ErrorContains(t, err, "another one was created since")
		_, err = e.RenewIdentity(t.Context(), first, identity.DefaultLife, "a")
		require.NoError(t, err)
		require.Empty(t, e.revokedIDs())
		_, err = e.use(hash, "key-3")
		require.NoError(t, err)
		require.Equal(t, []string{first}, e.revokedIDs())
		_, err = e.RenewIdentity(t.Context(), first, identity.DefaultLife, "a")
		require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
	})

	t.Run("services, grants and life come back", func(t *testing.T) {
		id, hash := e.create(ci, func(c *identity.Creation) { c.Life = 30 * 24 * time.Hour })
		_, err := e.use(hash, "key-4")
		require.NoError(t, err)
		renewed, err := e.RenewIdentity(t.Context(), id, identity.DefaultLife, "a")
		require.NoError(t, err)
		want := ci
		want.ID = id
		require.Equal(t, identity.Enrolled{Identity: want, Life: 30 * 24 * time.Hour}, renewed)
		list, err := e.Identities(t.Context())
		require.NoError(t, err)
		require.Equal(t, "deployer/ci", list[0].String())
		require.Equal(t, identity.Active, list[0].State(time.Now()))
		require.Equal(t, identity.Expired, list[0].State(time.Now().Add(31*24*time.Hour)))
		require.WithinDuration(t, time.Now().Add(30*24*time.Hour), list[0].ValidUntil, time.Minute)
		require.Equal(t, "operator/anna", list[0].CreatedBy)
		require.Equal(t, "rift (10.0.0.5)", list[0].JoinedFrom)
	})

	t.Run("revoking takes the tokens too, and is in the audit with what it does", func(t *testing.T) {
		_, hash := e.create(ci)
		require.NoError(t, e.RevokeIdentity(t.Context(), ci.Role, ci.Name, "operator/anna", entries("identity revoke", ci)))
		_, err := e.use(hash, "key-5")
		require.ErrorContains(t, err, "the identity deployer/ci is revoked")
		require.Len(t, e.revokedIDs(), 3)
		err = e.RevokeIdentity(t.Context(), ci.Role, ci.Name, "operator/anna", entries("identity revoke", rift))
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
		audit, err := e.Audit(t.Context(), fleet.AuditQuery{})
		require.NoError(t, err)
		verbs := map[string]int{}
		for _, r := range audit {
			verbs[r.Verb+" "+r.Detail]++
		}
		require.Equal(t, 1, verbs["identity revoke deployer/ci"])
		require.Zero(t, verbs["identity revoke node/rift"], "what was refused is not recorded as done")
		require.Equal(t, 2, verbs["join node/rift"])
	})

	t.Run("a token has its time", func(t *testing.T) {
		_, hash := e.create(identity.Identity{Role: identity.Edge, Name: "front"}, func(c *identity.Creation) { c.TokenLife = -time.Second })
		_, err := e.use(hash, "key-6")
		require.ErrorContains(t, err, "its time is over")
	})
}

// What the registry has lost comes back from the certificates, and what was revoked stays so.
func TestLostIdentities(t *testing.T) {
	store, address := newStore(t)
	e := &enrolling{T: t, Store: store}
	rift := identity.Identity{Role: identity.Node, Name: "rift"}
	ci := identity.Identity{Role: identity.Deployer, Name: "ci", Services: []string{"shop", "bank"}, Grants: []identity.Grant{identity.Exec}}
	seen := func(who identity.Identity, id string) identity.Seen {
		who.ID = id
		return identity.Seen{Identity: who, Key: "key-" + id, Until: time.Now().Add(time.Hour)}
	}
	keep := func(revoked []string, all ...identity.Seen) int {
		t.Helper()
		added, err := e.KeepIdentities(t.Context(), all, revoked)
		require.NoError(t, err)
		return added
	}
	riftID, hash := e.create(rift)
	_, err := e.use(hash, "key-1")
	require.NoError(t, err)
	require.Zero(t, keep(nil, seen(rift, riftID)))
	require.Zero(t, keep(nil))

	exec(t, address, "truncate identities")
	require.Equal(t, 2, keep(nil, seen(rift, riftID), seen(ci, "c1")))
	require.Zero(t, keep(nil, seen(rift, riftID), seen(ci, "c1")), "once")
	renewed, err := e.RenewIdentity(t.Context(), "c1", identity.DefaultLife, "a")
	require.NoError(t, err)
	require.Equal(t, identity.Enrolled{Identity: seen(ci, "c1").Identity, Life: identity.DefaultLife}, renewed)
	require.NoError(t, e.RevokeIdentity(t.Context(), rift.Role, rift.Name, "operator/anna", entries("identity revoke", rift)))
	require.Equal(t, []string{riftID}, e.revokedIDs())
	require.Zero(t, keep(nil, seen(rift, riftID)))
	require.Equal(t, []string{riftID}, e.revokedIDs(), "who is revoked does not come back")

	// A machine that has joined again since: its former identity is over.
	require.Equal(t, 1, keep(nil, seen(ci, "c0")))
	require.Contains(t, e.revokedIDs(), "c0")
	// An older dump, which has the former one: gateways remember that it is revoked.
	require.Equal(t, 1, keep([]string{"c1"}, seen(ci, "c2")))
	require.Contains(t, e.revokedIDs(), "c1")
	require.NotContains(t, e.revokedIDs(), "c2")
}

func TestGatewayKeys(t *testing.T) {
	store, _ := newStore(t)
	none, err := store.GatewayKeys(t.Context())
	require.NoError(t, err)
	require.Empty(t, none)
	require.NoError(t, store.AddGatewayKeys(t.Context(), map[string]registry.GatewayKey{"authority": {Sealed: []byte("one"), Public: "p"}}))
	require.NoError(t, store.AddGatewayKeys(t.Context(), map[string]registry.GatewayKey{"authority": {Sealed: []byte("two")}, "secret": {Sealed: []byte("three")}}))
	keys, err := store.GatewayKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]registry.GatewayKey{"authority": {Sealed: []byte("one"), Public: "p"}, "secret": {Sealed: []byte("three")}}, keys)
}
