package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/watch"
)

// vault adds versions to secrets of shop, sealed to rift.
type vault struct {
	t     *testing.T
	store *registry.Store
	by    secrets.SigningKey
	rift  secrets.Recipient
}

func newVault(t *testing.T, store *registry.Store) vault {
	t.Helper()
	text, err := secrets.GenerateSigningKey()
	require.NoError(t, err)
	by, err := secrets.ParseSigningKey(text)
	require.NoError(t, err)
	return vault{t, store, by, secrets.Recipient{Name: "rift", Key: nodeKey(t)}}
}

func nodeKey(t *testing.T) seal.Key {
	t.Helper()
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	return identity.Key()
}

func (v vault) addition(name string, version int, value string, to ...secrets.Recipient) secrets.Addition {
	v.t.Helper()
	e, err := secrets.Seal(secrets.Ref{Service: "shop", Name: name, Version: version}, []byte(value), append(to, v.rift), v.by)
	require.NoError(v.t, err)
	mark, err := v.by.Mark("shop", name, []byte(value))
	require.NoError(v.t, err)
	return secrets.Addition{Envelope: e, Mark: mark, Who: "ada", From: "laptop"}
}

func (v vault) add(a secrets.Addition) secrets.Addition {
	v.t.Helper()
	require.NoError(v.t, v.store.AddSecret(v.t.Context(), a))
	return a
}

// listed reads what is recorded of a service's secrets, two versions at a time.
func listed(t *testing.T, store *registry.Store, service string) (all []secrets.Secret) {
	t.Helper()
	for after := (secrets.Ref{}); ; {
		page, err := store.SecretVersions(t.Context(), service, after, 2)
		require.NoError(t, err)
		for _, one := range page {
			after = secrets.Ref{Service: one.Service, Name: one.Name}
			for _, v := range one.Versions {
				after.Version = v.Version
			}
			if n := len(all) - 1; n >= 0 && all[n].Name == one.Name {
				all[n].Versions = append(all[n].Versions, one.Versions...)
			} else {
				all = append(all, one)
			}
		}
		if len(page) < 2 {
			return all
		}
	}
}

// kept are the secrets of shop that a deploy has: those with a newest version.
func (v vault) kept() map[string]fleet.KeptSecret {
	v.t.Helper()
	release, err := v.store.Release(v.t.Context(), "shop")
	require.NoError(v.t, err)
	maps.DeleteFunc(release.Secrets, func(_ string, s fleet.KeptSecret) bool { return s.Newest == 0 })
	return release.Secrets
}

func TestVersionsOfSecretsAreAppended(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	require.Empty(t, v.kept())
	first := v.add(v.addition("db", 1, "one"))
	v.add(first) // a repetition
	v.add(v.addition("smtp", 1, "mail"))
	err := store.AddSecret(t.Context(), v.addition("db", 1, "another one"))
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	err = store.AddSecret(t.Context(), v.addition("db", 3, "another one"))
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	second := v.add(v.addition("db", 2, "two"))

	all := listed(t, store, "shop")
	require.Len(t, all, 2)
	require.Equal(t, "db", all[0].Name)
	require.Equal(t, 2, all[0].Newest)
	require.Len(t, all[0].Versions, 2)
	newest, kept := all[0].Current()
	require.True(t, kept)
	require.WithinDuration(t, time.Now(), newest.At, time.Minute)
	require.True(t, newest.Rekeyed.IsZero())
	newest.At, newest.Rekeyed = time.Time{}, time.Time{}
	require.Equal(t, secrets.Version{
		Version: 2, Recipients: second.Envelope.Recipients, Signer: v.by.Signer(), Mark: second.Mark, Who: "ada", From: "laptop",
	}, newest)
	others := listed(t, store, "blog")
	require.Empty(t, others)

	refs := []secrets.Ref{second.Envelope.Ref, first.Envelope.Ref}
	envelopes, err := store.Envelopes(t.Context(), refs)
	require.NoError(t, err)
	require.Equal(t, []secrets.Envelope{second.Envelope, first.Envelope}, envelopes)
	_, err = store.Envelopes(t.Context(), append(refs, secrets.Ref{Service: "shop", Name: "db", Version: 9}))
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
}

func TestAReleaseNamesTheNodesThatCanOpenItsSecrets(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	orion := secrets.Recipient{Name: "orion", Key: nodeKey(t)}
	v.add(v.addition("db", 1, "one", orion, secrets.Recipient{Name: "lyra", Recovery: true, Key: orion.Key}))
	require.Empty(t, v.kept()["db"].Versions[1].Nodes, "no node has announced a key")
	for node, key := range map[string]string{"rift": v.rift.Key.String(), "orion": nodeKey(t).String(), "lyra": orion.Key.String()} {
		_, err := store.ClaimNode(t.Context(), fleet.Claim{Node: node, Machine: fleet.Machine{ID: node}, Key: key, Silent: &fleet.Machine{}}, nil, watch.Judge)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"rift"}, v.kept()["db"].Versions[1].Nodes, "orion has another key")
}

func TestASecretIsSealedAgain(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	v.add(v.addition("db", 1, "one"))
	again := v.addition("db", 1, "one", secrets.Recipient{Name: "orion", Key: nodeKey(t)})
	again.Rekey = true
	v.add(again)
	v.add(again)
	envelopes, err := store.Envelopes(t.Context(), []secrets.Ref{again.Envelope.Ref})
	require.NoError(t, err)
	require.Equal(t, again.Envelope, envelopes[0])
	all := listed(t, store, "shop")
	require.WithinDuration(t, time.Now(), all[0].Versions[0].Rekeyed, time.Minute)

	missing := v.addition("db", 2, "two")
	missing.Rekey = true
	require.True(t, fault.Is(store.AddSecret(t.Context(), missing), fault.Conflict))
}

func TestARemovedSecretKeepsItsNumber(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	v.add(v.addition("db", 1, "one"))
	v.add(v.addition("db", 2, "two"))
	refusal := errors.New("it is needed")
	_, err := store.RemoveSecret(t.Context(), "shop", "db", func(fleet.Release) error { return refusal })
	require.ErrorIs(t, err, refusal)
	require.NotEmpty(t, v.kept())
	for _, versions := range []int{2, 0} {
		removed, err := store.RemoveSecret(t.Context(), "shop", "db", func(r fleet.Release) error {
			require.Equal(t, "shop", r.Service)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, versions, removed)
	}
	require.Empty(t, v.kept())
	all := listed(t, store, "shop")
	require.Equal(t, []secrets.Secret{{Service: "shop", Name: "db", Newest: 2, Removed: true}}, all)
	require.True(t, fault.Is(store.AddSecret(t.Context(), v.addition("db", 1, "one")), fault.Conflict))
	v.add(v.addition("db", 3, "three"))
	require.Equal(t, 3, v.kept()["db"].Newest)
}

// TestOneOfSeveralCommandsAddsAVersion runs them at once.
func TestOneOfSeveralCommandsAddsAVersion(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	errs := make([]error, 8)
	var group sync.WaitGroup
	for n := range errs {
		a := v.addition("db", 1, fmt.Sprint(n))
		group.Go(func() { errs[n] = store.AddSecret(t.Context(), a) })
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.True(t, fault.Is(err, fault.Conflict), "%v", err)
		}
	}
	require.Equal(t, 1, won)
}

func TestTheSecretsOfAServiceFitTogether(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	sizeOf := func(a secrets.Addition) int {
		t.Helper()
		v.add(a)
		release, err := store.Release(t.Context(), "shop")
		require.NoError(t, err)
		size := release.Secrets[a.Envelope.Name].Versions[a.Envelope.Version].Size
		travels, err := json.Marshal(a.Envelope)
		require.NoError(t, err)
		require.GreaterOrEqual(t, size, len(travels))
		require.Less(t, size, len(travels)+512)
		return size
	}
	sizeOf(v.addition("a-name-of-"+strings.Repeat("x", 53), 1, "small", secrets.Recipient{Name: "orion", Key: nodeKey(t)}, secrets.Recipient{Name: "ann", Recovery: true, Key: nodeKey(t)}))
	_, err := store.RemoveSecret(t.Context(), "shop", "a-name-of-"+strings.Repeat("x", 53), func(fleet.Release) error { return nil })
	require.NoError(t, err)

	const largest = secrets.MaxValue
	large := strings.Repeat("x", largest)
	size := sizeOf(v.addition("large-1", 1, large))
	require.Equal(t, size, sizeOf(v.addition("large-2", 1, large)))
	// Three bytes of a value are four of its text, and 16 more where a chunk of 64 KiB ends.
	const fits = 250 << 10
	rest := fits + (fleet.MaxSealed-2*size-sizeOf(v.addition("large-3", 1, large[:fits])))/4*3
	err = store.AddSecret(t.Context(), v.addition("large-3", 2, large[:rest+3]))
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.ErrorContains(t, err, "the secrets of shop would have 1025 KiB together, sealed: at most 1024 can travel to a node")
	require.Equal(t, 1, v.kept()["large-3"].Newest)
	require.Greater(t, 2*size+sizeOf(v.addition("large-3", 2, large[:rest])), fleet.MaxSealed-4)
	sizeOf(v.addition("large-3", 3, large[:rest])) // another version in its place
}

// TestWhatADeployReadsOfSecretsIsBounded has many versions in the registry that no release
// names, and measures how large they are where a deploy reads them.
func TestWhatADeployReadsOfSecretsIsBounded(t *testing.T) {
	store, url := newStore(t)
	v := newVault(t, store)
	v.claim("rift", v.rift.Key)
	v.add(v.addition("db", 1, "one", secrets.Recipient{Name: "ann", Recovery: true, Key: nodeKey(t)}))
	db, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer db.Close(t.Context())
	copies := func(from, to int) {
		t.Helper()
		_, err := db.Exec(t.Context(), `
			insert into secret_versions (service, name, version, recipients, sealed, signer, signature, mark, who, from_host)
			select service, name, n, recipients, sealed, signer, signature, mark, who, from_host from secret_versions, generate_series($1::int, $2::int) n
			where name = 'db' and version = 1`, from, to)
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), `update secrets set newest = $1 where name = 'db'`, to)
		require.NoError(t, err)
	}
	const many = 3900
	copies(2, many)
	v.add(v.addition("db", many+1, "another"))
	text, err := json.Marshal(v.kept())
	require.NoError(t, err)
	require.Greater(t, len(text), fleet.MaxKept/3*2)
	require.Less(t, len(text), fleet.MaxKept)
	require.Len(t, listed(t, store, "shop")[0].Versions, many+1)

	copies(many+2, many+400)
	err = store.AddSecret(t.Context(), v.addition("db", many+401, "one too many"))
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.ErrorContains(t, err, "4301 versions of secrets would be kept for shop: a deploy would read ")
	require.ErrorContains(t, err, " KiB about them, and reads 512 at most")
	_, err = store.RemoveSecret(t.Context(), "shop", "db", func(fleet.Release) error { return nil })
	require.NoError(t, err)
	v.add(v.addition("db", many+401, "the way out"))
}

func TestAnotherKeyOfANodeIsAnEvent(t *testing.T) {
	store, _ := newStore(t)
	claimWith := func(key string) {
		t.Helper()
		c := fleet.Claim{Node: "rift", Machine: fleet.Machine{ID: "m1", Boot: "b1"}, Key: key, Signers: []string{"ed25519:x"}, Silent: &fleet.Machine{}}
		result, err := store.ClaimNode(t.Context(), c, []string{"webhook"}, watch.Judge)
		require.NoError(t, err)
		require.Equal(t, fleet.ClaimGranted, result.Verdict)
	}
	events := func() []fleet.Event {
		found, err := store.Events(t.Context(), fleet.EventQuery{Node: "rift"})
		require.NoError(t, err)
		return found
	}
	first, second := nodeKey(t).String(), nodeKey(t).String()
	claimWith(first)
	claimWith(first)
	require.Empty(t, events())
	record(t, store, fleet.NodeRecord{Name: "rift"})
	nodes, err := store.Nodes(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, nodes[0].Key)
	require.Equal(t, []string{"ed25519:x"}, nodes[0].Signers)

	claimWith(second)
	claimWith(second)
	found := events()
	require.Len(t, found, 1)
	require.Equal(t, fleet.EventKeyChanged, found[0].Kind)
	require.Contains(t, found[0].Detail, first)
	states, err := store.NodeStates(t.Context())
	require.NoError(t, err)
	require.Equal(t, second, states[0].Key)
	alerts, err := store.Alerts(t.Context(), "webhook", 10)
	require.NoError(t, err)
	require.Len(t, alerts, 1)
}

func TestAPageOfSecretsHasTheNewestVersions(t *testing.T) {
	store, _ := newStore(t)
	v := newVault(t, store)
	for name, versions := range map[string]int{"db": 3, "mail": 1, "token": 2, "gone": 1} {
		for n := 1; n <= versions; n++ {
			v.add(v.addition(name, n, fmt.Sprint(name, n)))
		}
	}
	_, err := store.RemoveSecret(t.Context(), "shop", "gone", func(fleet.Release) error { return nil })
	require.NoError(t, err)
	var names []string
	for after := (secrets.Ref{}); ; {
		page, err := store.SecretPage(t.Context(), "", after, 2)
		require.NoError(t, err)
		for _, secret := range page {
			require.Len(t, secret.Versions, 1)
			current, ok := secret.Current()
			require.True(t, ok)
			require.Equal(t, "rift", current.Recipients[0].Name)
			require.Equal(t, "ada", current.Who)
			names = append(names, fmt.Sprint(secret.Service, "/", secret.Name, " v", secret.Newest, " of ", secret.Kept))
			after = secrets.Ref{Service: secret.Service, Name: secret.Name}
		}
		if len(page) < 2 {
			break
		}
	}
	require.Equal(t, []string{"shop/db v3 of 3", "shop/mail v1 of 1", "shop/token v2 of 2"}, names)
	none, err := store.SecretPage(t.Context(), "other", secrets.Ref{}, 2)
	require.NoError(t, err)
	require.Empty(t, none)
}
