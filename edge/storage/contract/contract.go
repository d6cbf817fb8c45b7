// Package contract has the test that every storage.Remote passes, and one in memory.
package contract

import (
	"bytes"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/storage"
)

// Run tests a Remote. Each call of create returns an empty one.
func Run(t *testing.T, create func(t *testing.T) storage.Remote) {
	keys := func(t *testing.T, r storage.Remote, key string) (all []string) {
		t.Helper()
		entries, err := r.List(t.Context(), key)
		require.NoError(t, err)
		for _, e := range entries {
			all = append(all, e.Key)
		}
		return all
	}
	t.Run("values", func(t *testing.T) {
		r, ctx := create(t), t.Context()
		_, err := r.Load(ctx, "a/b")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, r.Delete(ctx, "a/b"))
		large := bytes.Repeat([]byte{0, 1, 0xff}, 50_000)
		for _, value := range [][]byte{[]byte("one"), {}, large} {
			require.NoError(t, r.Store(ctx, "a/b", value))
			got, err := r.Load(ctx, "a/b")
			require.NoError(t, err)
			require.True(t, bytes.Equal(value, got))
		}
		entries, err := r.List(ctx, "a/b")
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, int64(len(large)), entries[0].Size)
		require.WithinDuration(t, time.Now(), entries[0].Modified, time.Hour)
	})
	t.Run("names", func(t *testing.T) {
		r, ctx := create(t), t.Context()
		for _, key := range []string{"a/b/c", "a/b/d", "a/bc", "a", "wildcard_.x%/_y"} {
			require.NoError(t, r.Store(ctx, key, []byte(key)))
		}
		require.Equal(t, []string{"a", "a/b/c", "a/b/d", "a/bc", "wildcard_.x%/_y"}, keys(t, r, ""))
		require.Equal(t, []string{"a/b/c", "a/b/d"}, keys(t, r, "a/b"))
		require.Equal(t, []string{"a", "a/b/c", "a/b/d", "a/bc"}, keys(t, r, "a"))
		require.Empty(t, keys(t, r, "wildcard_.x_"))
		require.NoError(t, r.Delete(ctx, "a/b"))
		require.Equal(t, []string{"a", "a/bc", "wildcard_.x%/_y"}, keys(t, r, ""))
	})
	t.Run("of many that replace a value, one does", func(t *testing.T) {
		r, ctx := create(t), t.Context()
		done, err := r.Replace(ctx, "k", []byte("none"), []byte("x"))
		require.NoError(t, err)
		require.False(t, done)
		require.NoError(t, r.Store(ctx, "k", []byte("former")))
		var replaced atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if done, err := r.Replace(ctx, "k", []byte("former"), []byte("new")); err == nil && done {
					replaced.Add(1)
				}
			})
		}
		all.Wait()
		require.Equal(t, int64(1), replaced.Load())
	})
	t.Run("locks", func(t *testing.T) {
		r, ctx := create(t), t.Context()
		lock := func(name, holder string, lease time.Duration) bool {
			t.Helper()
			held, err := r.Lock(ctx, name, holder, lease)
			require.NoError(t, err)
			return held
		}
		require.True(t, lock("l", "one", time.Hour))
		require.True(t, lock("l", "one", time.Hour), "a holder may ask again")
		require.False(t, lock("l", "two", time.Hour))
		require.True(t, lock("other", "two", time.Hour))
		require.NoError(t, r.Unlock(ctx, "l", "two"))
		require.False(t, lock("l", "two", time.Hour))
		require.NoError(t, r.Unlock(ctx, "l", "one"))
		require.NoError(t, r.Unlock(ctx, "l", "one"))
		require.True(t, lock("l", "two", time.Millisecond))
		require.Eventually(t, func() bool { return lock("l", "one", time.Hour) }, time.Minute, 5*time.Millisecond, "a lease ends")
		require.False(t, lock("l", "two", time.Hour))
	})
}
