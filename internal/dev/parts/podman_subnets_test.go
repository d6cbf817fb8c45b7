package parts

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnginesClaimDifferentSubnets(t *testing.T) {
	claims, engines := filepath.Join(t.TempDir(), "claims"), t.TempDir()
	claim := func(engine int) int {
		dir := filepath.Join(engines, strconv.Itoa(engine))
		require.NoError(t, os.MkdirAll(dir, 0o700))
		n, err := claimPool(claims, dir)
		require.NoError(t, err)
		return n
	}
	var claimed [pools]int
	var group sync.WaitGroup
	for i := range pools {
		group.Go(func() { claimed[i] = claim(i) })
	}
	group.Wait()
	seen := map[int]bool{}
	for _, n := range claimed {
		require.False(t, seen[n], n)
		seen[n] = true
	}
	require.Equal(t, claimed[7], claim(7), "at the next start")

	_, err := claimPool(claims, filepath.Join(engines, "one more"))
	require.ErrorContains(t, err, "all 80 ranges are claimed")
	require.NoError(t, os.RemoveAll(filepath.Join(engines, "3")))
	require.Equal(t, claimed[3], claim(pools), "that of an engine that is gone")
}
