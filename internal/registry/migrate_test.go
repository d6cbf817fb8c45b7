package registry_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/registry"
)

func TestMigrate(t *testing.T) {
	t.Run("fresh, and then again", func(t *testing.T) {
		address := newSchema(t)
		from, to, err := registry.Migrate(t.Context(), address)
		require.NoError(t, err)
		require.Equal(t, []int{0, registry.SchemaVersion}, []int{from, to})

		// An option of the pool, which a migration has no use for, does no harm.
		from, to, err = registry.Migrate(t.Context(), address+"&pool_max_conns=20")
		require.NoError(t, err)
		require.Equal(t, []int{registry.SchemaVersion, registry.SchemaVersion}, []int{from, to})
	})

	t.Run("five at once: one of them applies", func(t *testing.T) {
		address := newSchema(t)
		var froms [5]int
		var errs [5]error
		var group sync.WaitGroup
		for i := range froms {
			group.Go(func() { froms[i], _, errs[i] = registry.Migrate(t.Context(), address) })
		}
		group.Wait()
		applied := 0
		for i := range froms {
			require.NoError(t, errs[i])
			if froms[i] == 0 {
				applied++
			}
		}
		require.Equal(t, 1, applied)
	})

	t.Run("tables of a newer mcp are left alone", func(t *testing.T) {
		address := newSchema(t)
		_, _, err := registry.Migrate(t.Context(), address)
		require.NoError(t, err)
		exec(t, address, "insert into schema_versions (version_id, is_applied) values (1000, true)")
		_, _, err = registry.Migrate(t.Context(), address)
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	})

	t.Run("SchemaVersion is the number of the newest migration", func(t *testing.T) {
		files, err := os.ReadDir("migrations")
		require.NoError(t, err)
		require.Regexp(t, fmt.Sprintf("^%03d_", registry.SchemaVersion), files[len(files)-1].Name())
	})
}
