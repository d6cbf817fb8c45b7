package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

// Of a node that was never observed no figures are shown.
func TestTheLinesOfANode(t *testing.T) {
	announced := shownNode{nodeState: nodeState{Name: "rift", State: "unknown"}, NodeStatus: fleet.NodeStatus{NodeFigures: fleet.NodeFigures{Runtime: "podman 4.3.1"}}}
	lines := linesOf(announced)
	require.Contains(t, lines, [2]string{"state", "unknown"})
	require.Contains(t, lines, [2]string{"engine", "podman 4.3.1"})
	for _, line := range lines {
		require.NotContains(t, []string{"load", "memory", "disk", "containers"}, line[0])
	}

	seen := announced
	seen.State, seen.Since, seen.Seen = fleet.NodeReady, time.Now(), time.Now()
	lines = linesOf(seen)
	require.Regexp(t, "^ready since ....-..-.. ..:..:..$", lines[1][1])
	require.Contains(t, lines, [2]string{"containers", "0, 0 running"})
}
