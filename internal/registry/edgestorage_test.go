package registry_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

// storing is an admitted edge with its secret.
type storing struct {
	t      *testing.T
	store  *registry.Store
	name   string
	secret []byte
}

func newStoring(t *testing.T, store *registry.Store, name string) *storing {
	t.Helper()
	_, err := store.AdmitEdge(t.Context(), fleet.EdgeAdmission{Edge: name, Key: "age1" + name})
	require.NoError(t, err)
	answer, err := store.AnnounceEdge(t.Context(), fleet.EdgeRecord{Name: name, Key: "age1" + name})
	require.NoError(t, err)
	return &storing{t, store, name, answer.Secret}
}

func (s *storing) request(o fleet.StorageOperation) fleet.StorageRequest {
	s.t.Helper()
	r, err := o.Proven(s.name, s.secret, time.Now())
	require.NoError(s.t, err)
	return r
}

func (s *storing) try(o fleet.StorageOperation) (fleet.StorageAnswer, error) {
	s.t.Helper()
	return s.store.UseStorage(s.t.Context(), s.request(o), fmt.Sprint("run-", runs.Add(1)))
}

func (s *storing) use(o fleet.StorageOperation) fleet.StorageAnswer {
	s.t.Helper()
	answer, err := s.try(o)
	require.NoError(s.t, err)
	return answer
}

func TestOnlyAnAdmittedEdgeUsesTheStorage(t *testing.T) {
	store, _ := newStore(t)
	berlin := newStoring(t, store, "berlin")
	lisbon := newStoring(t, store, "lisbon")
	require.NotEqual(t, berlin.secret, lisbon.secret)
	save := fleet.StorageOperation{Verb: fleet.StorageStore, Key: "a", Value: []byte("x")}
	berlin.use(save)

	again, err := store.AnnounceEdge(t.Context(), fleet.EdgeRecord{Name: "berlin", Key: "age1berlin"})
	require.NoError(t, err)
	require.Equal(t, berlin.secret, again.Secret, "it keeps its secret")
	require.Equal(t, []string{"age1berlin", "age1lisbon"}, again.Keys)

	stranger, err := store.AnnounceEdge(t.Context(), fleet.EdgeRecord{Name: "porto", Key: "age1porto"})
	require.NoError(t, err)
	require.Empty(t, stranger.Secret)
	require.Empty(t, stranger.Keys)

	run := func(r fleet.StorageRequest) error {
		_, err := store.UseStorage(t.Context(), r, fmt.Sprint("run-", runs.Add(1)))
		return err
	}
	load := fleet.StorageOperation{Verb: fleet.StorageLoad, Key: "a"}
	for name, r := range map[string]fleet.StorageRequest{
		"no edge":             {},
		"not admitted":        (&storing{t, store, "porto", nil}).request(load),
		"another's secret":    (&storing{t, store, "berlin", lisbon.secret}).request(load),
		"another's operation": {Edge: "lisbon", Operation: berlin.request(load).Operation, Proof: berlin.request(load).Proof},
		"another operation":   {Edge: "berlin", Operation: berlin.request(save).Operation, Proof: berlin.request(load).Proof},
	} {
		require.Equal(t, fault.Unauthorized, fault.Of(run(r)).Kind, name)
	}
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		r, err := load.Proven("berlin", berlin.secret, time.Now().Add(off))
		require.NoError(t, err)
		err = run(r)
		require.Equal(t, fault.Unauthorized, fault.Of(err).Kind)
		require.ErrorContains(t, err, "10m0s old")
	}

	t.Run("a request to write counts once", func(t *testing.T) {
		r := berlin.request(save)
		for range 2 { // as an activity whose answer was lost
			_, err := store.UseStorage(t.Context(), r, "one run")
			require.NoError(t, err)
		}
		require.ErrorContains(t, run(r), "copy of an earlier one")
	})
	t.Run("a removed edge is a stranger", func(t *testing.T) {
		require.NoError(t, store.RemoveEdge(t.Context(), "berlin"))
		require.Equal(t, fault.Unauthorized, fault.Of(run(berlin.request(load))).Kind)
		require.NotEqual(t, berlin.secret, newStoring(t, store, "berlin").secret)
	})
}

func TestWhatEdgesStore(t *testing.T) {
	store, address := newStore(t)
	berlin, lisbon := newStoring(t, store, "berlin"), newStoring(t, store, "lisbon")
	op := func(verb fleet.StorageVerb, key, value string) fleet.StorageOperation {
		return fleet.StorageOperation{Verb: verb, Key: key, Value: []byte(value)}
	}
	require.True(t, berlin.use(op(fleet.StorageLoad, "a/b", "")).Missing)
	berlin.use(op(fleet.StorageStore, "a/b", "one"))
	require.Equal(t, "one", string(lisbon.use(op(fleet.StorageLoad, "a/b", "")).Value))
	sum := sha256.Sum256([]byte("one"))
	replace := fleet.StorageOperation{Verb: fleet.StorageReplace, Key: "a/b", Former: sum[:], Value: []byte("two")}
	require.True(t, lisbon.use(replace).Done)
	require.False(t, lisbon.use(replace).Done)
	lisbon.use(op(fleet.StorageDelete, "a", ""))
	require.True(t, berlin.use(op(fleet.StorageLoad, "a/b", "")).Missing)

	t.Run("what cannot be carried out", func(t *testing.T) {
		for name, o := range map[string]fleet.StorageOperation{
			"no verb":             {Key: "a"},
			"no key":              {Verb: fleet.StorageDelete},
			"a long key":          {Verb: fleet.StorageLoad, Key: strings.Repeat("a", 513)},
			"a control character": {Verb: fleet.StorageLoad, Key: "a\x00"},
			"a large value":       {Verb: fleet.StorageStore, Key: "a", Value: make([]byte, 256<<10+1)},
			"a larger value":      {Verb: fleet.StorageStore, Key: "a", Value: make([]byte, 1<<20)},
			"no holder":           {Verb: fleet.StorageLock, Key: "a", Lease: time.Second},
			"no lease":            {Verb: fleet.StorageLock, Key: "a", Holder: "h"},
			"a long lease":        {Verb: fleet.StorageLock, Key: "a", Holder: "h", Lease: 2 * time.Hour},
		} {
			_, err := berlin.try(o)
			require.Equal(t, fault.Invalid, fault.Of(err).Kind, name)
		}
		berlin.use(fleet.StorageOperation{Verb: fleet.StorageStore, Key: strings.Repeat("a", 512), Value: make([]byte, 256<<10)})
		berlin.use(op(fleet.StorageDelete, strings.Repeat("a", 512), ""))
	})
	t.Run("a lock belongs to one edge", func(t *testing.T) {
		lock := fleet.StorageOperation{Verb: fleet.StorageLock, Key: "l", Holder: "same", Lease: time.Hour}
		require.True(t, berlin.use(lock).Done)
		require.True(t, berlin.use(lock).Done)
		require.False(t, lisbon.use(lock).Done)
		free := lock
		free.Verb = fleet.StorageUnlock
		lisbon.use(free)
		require.False(t, lisbon.use(lock).Done)
		berlin.use(free)
		require.True(t, lisbon.use(lock).Done)
		exec(t, address, "update edge_locks set expiry = now() - interval '1 s'")
		require.True(t, berlin.use(lock).Done)
	})
	t.Run("a long list travels in parts", func(t *testing.T) {
		exec(t, address, "insert into edge_storage (key, value, modified) select 'k/' || i, 'v', now() from generate_series(1, 2500) i")
		var keys []string
		for list := op(fleet.StorageList, "k", ""); ; list.After = keys[len(keys)-1] {
			answer := berlin.use(list)
			for _, e := range answer.Entries {
				keys = append(keys, e.Key)
			}
			if !answer.More {
				break
			}
		}
		require.Len(t, keys, 2500)
		require.True(t, slices.IsSorted(keys))
	})
	t.Run("a full storage", func(t *testing.T) {
		exec(t, address, "insert into edge_storage (key, value, modified) select 'full/' || i, 'v', now() from generate_series(1, 47500) i")
		_, err := berlin.try(op(fleet.StorageStore, "one more", "v"))
		require.ErrorContains(t, err, "full")
		berlin.use(op(fleet.StorageStore, "full/1", "other"))
	})
}
