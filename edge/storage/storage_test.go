package storage_test

import (
	"bytes"
	"context"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/storage"
	"github.com/metacircular/mcp/edge/storage/contract"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
)

func TestMemory(t *testing.T) {
	contract.Run(t, func(*testing.T) storage.Remote { return contract.NewMemory() })
}

// fleet is edges that share one Remote.
type fleet struct {
	*contract.Memory
	mu       sync.Mutex
	admitted []seal.Key
}

func (f *fleet) keys(context.Context) ([]seal.Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.admitted, nil
}

func (f *fleet) edge(t *testing.T) (*storage.Storage, seal.Key) {
	t.Helper()
	identity, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	return storage.New(storage.Options{Remote: f, Identity: identity, Keys: f.keys, Lease: 2 * time.Second}), identity.Key()
}

func TestSealing(t *testing.T) {
	ctx := t.Context()
	f := &fleet{Memory: contract.NewMemory()}
	one, oneKey := f.edge(t)
	two, twoKey := f.edge(t)
	three, threeKey := f.edge(t)

	require.Error(t, one.Store(ctx, "certificates/x.key", []byte("private")), "no edge is admitted")
	f.admitted = []seal.Key{oneKey, twoKey}
	require.NoError(t, one.Store(ctx, "certificates/x.key", []byte("private")))
	for _, edge := range []*storage.Storage{one, two} {
		value, err := edge.Load(ctx, "certificates/x.key")
		require.NoError(t, err)
		require.Equal(t, "private", string(value))
	}
	stored, err := f.Load(ctx, "certificates/x.key")
	require.NoError(t, err)
	require.False(t, bytes.Contains(stored, []byte("private")))

	t.Run("an edge that was admitted later reads what is sealed anew", func(t *testing.T) {
		_, err := three.Load(ctx, "certificates/x.key")
		require.Equal(t, fault.Unauthorized, fault.Of(err).Kind)
		require.NoError(t, two.Reseal(ctx))
		_, err = three.Load(ctx, "certificates/x.key")
		require.Equal(t, fault.Unauthorized, fault.Of(err).Kind, "it is not admitted")
		f.admitted = append(f.admitted, threeKey)
		require.NoError(t, three.Reseal(ctx))
		require.NoError(t, two.Reseal(ctx))
		value, err := three.Load(ctx, "certificates/x.key")
		require.NoError(t, err)
		require.Equal(t, "private", string(value))
	})
	t.Run("a value cannot stand for another one", func(t *testing.T) {
		stored, err := f.Load(ctx, "certificates/x.key")
		require.NoError(t, err)
		require.NoError(t, f.Store(ctx, "certificates/y.key", stored))
		_, err = one.Load(ctx, "certificates/y.key")
		require.ErrorContains(t, err, "sealed for another use")
	})
	t.Run("what only removed edges can open does not exist", func(t *testing.T) {
		f.admitted = []seal.Key{oneKey}
		require.NoError(t, one.Store(ctx, "certificates/z.key", []byte("lost")))
		f.admitted = []seal.Key{twoKey}
		_, err := two.Load(ctx, "certificates/z.key")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.False(t, two.Exists(ctx, "certificates/z.key"))
	})
	t.Run("a damaged value", func(t *testing.T) {
		require.NoError(t, f.Store(ctx, "d", []byte("{")))
		_, err := two.Load(ctx, "d")
		require.ErrorContains(t, err, "d in the storage of certificates is damaged")
	})
}

func TestNames(t *testing.T) {
	ctx := t.Context()
	f := &fleet{Memory: contract.NewMemory()}
	s, key := f.edge(t)
	f.admitted = []seal.Key{key}
	_, err := s.List(ctx, "a", true)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, k := range []string{"a/b/c", "a/b/d", "a/e"} {
		require.NoError(t, s.Store(ctx, k, []byte("x")))
	}
	names, err := s.List(ctx, "a", false)
	require.NoError(t, err)
	require.Equal(t, []string{"a/b", "a/e"}, names)
	names, err = s.List(ctx, "a", true)
	require.NoError(t, err)
	require.Equal(t, []string{"a/b", "a/b/c", "a/b/d", "a/e"}, names)
	info, err := s.Stat(ctx, "a/b")
	require.NoError(t, err)
	require.False(t, info.IsTerminal)
	info, err = s.Stat(ctx, "a/e")
	require.NoError(t, err)
	require.True(t, info.IsTerminal)
	require.True(t, s.Exists(ctx, "a/b"))
	require.NoError(t, s.Delete(ctx, "a/b"))
	require.False(t, s.Exists(ctx, "a/b"))
	_, err = s.Stat(ctx, "a/b")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestLocks(t *testing.T) {
	ctx := t.Context()
	f := &fleet{Memory: contract.NewMemory()}
	one, _ := f.edge(t)
	two, _ := f.edge(t)
	var inside, most int
	var mu sync.Mutex
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		inside += n
		most = max(most, inside)
	}
	var all sync.WaitGroup
	for _, s := range []*storage.Storage{one, one, two, two} {
		all.Go(func() {
			for range 3 {
				if err := s.Lock(ctx, "l"); err != nil {
					t.Error(err)
					return
				}
				count(1)
				count(-1)
				if err := s.Unlock(ctx, "l"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, most)

	require.NoError(t, one.Lock(ctx, "l"))
	time.Sleep(3 * time.Second) // longer than the lease, which is prolonged
	held, err := f.Lock(ctx, "l", "another", time.Second)
	require.NoError(t, err)
	require.False(t, held)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, two.Lock(ended, "l"), context.Canceled)
	require.NoError(t, one.Unlock(ctx, "l"))
	require.Error(t, one.Unlock(ctx, "l"))
}
