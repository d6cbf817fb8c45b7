package watch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

func TestWhatIsNotRetiredIsAnEventOfItsNode(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	events := watch.NotRetired("shop", []fleet.NotRetired{
		{Node: "rift", Containers: []string{"shop-api.prev", "shop-web.prev"}, Problem: "podman does not answer"},
		{Node: "orion", Problem: "the node does not answer"},
	}, at)
	var lines []string
	for _, e := range events {
		require.Equal(t, []time.Time{at, at}, []time.Time{e.At, e.Since})
		require.False(t, e.Ended)
		lines = append(lines, e.Line())
	}
	require.Equal(t, []string{
		"node rift: shop: not-retired: shop-api.prev, shop-web.prev: podman does not answer",
		"node orion: shop: not-retired: the node does not answer",
	}, lines)
	require.Empty(t, watch.NotRetired("shop", nil, at))
}
