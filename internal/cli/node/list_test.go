package node

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

func TestTheListSaysWhyANodeIsUnreachable(t *testing.T) {
	hangs := fleet.Drift{Kind: fleet.DriftUnreachable, Detail: "podman on rift does not answer"}
	rift := fleet.NodeState{State: fleet.NodeUnreachable, Drift: []fleet.OpenDrift{{Drift: hangs}}}
	full := fleet.NodeState{State: fleet.NodeReady, Drift: []fleet.OpenDrift{{Drift: fleet.Drift{Kind: fleet.DriftDisk, Detail: "/ is full"}}}}
	require.Equal(t, "podman on rift does not answer", reasonOf(rift))
	require.Empty(t, reasonOf(full))

	var out bytes.Buffer
	require.NoError(t, writeList(&out, []listedNode{{Name: "rift", State: "unreachable", Reason: reasonOf(rift)}, {Name: "orion", State: "ready"}}))
	require.Contains(t, out.String(), "REASON")
	require.Contains(t, out.String(), "podman on rift does not answer")
	out.Reset()
	require.NoError(t, writeList(&out, []listedNode{{Name: "orion", State: "ready"}}))
	require.NotContains(t, out.String(), "REASON")
}
