package change

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

func TestWhatRunsOnBesideItsSuccessor(t *testing.T) {
	stopped := workflows.Retiring{Container: "shop-api.prev", Node: "rift"}
	serving := workflows.Retiring{Container: "shop-web.prev", Node: "rift", DrainMS: 1000}
	for want, list := range map[string][]workflows.Retiring{
		"":                            nil,
		"; the old container retires": {stopped},
		"; the old container drains":  {serving},
		"; 2 old containers retire":   {stopped, stopped},
		"; 2 old containers drain":    {stopped, serving},
	} {
		require.Equal(t, want, retiring(list))
	}
}
