package podman

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestPortsOfPodmansListAreExpanded(t *testing.T) {
	require.Nil(t, mappedPorts(nil))
	require.Equal(t, []servicedef.Port{
		{IP: "127.0.0.1", Host: 8080, Container: 80, Protocol: "tcp"},
		{IP: "127.0.0.1", Host: 8081, Container: 81, Protocol: "tcp"},
		{Host: 9000, Container: 90, Protocol: "tcp"},
		{Host: 9000, Container: 90, Protocol: "udp"},
	}, mappedPorts([]mapping{
		{HostPort: 9000, ContainerPort: 90, Protocol: "tcp,udp"},
		{HostIP: "127.0.0.1", HostPort: 8080, ContainerPort: 80, Range: 2},
	}))
	require.Len(t, mappedPorts([]mapping{{HostPort: 1, ContainerPort: 1, Range: 1 << 40}}), maxPort, "an absurd range is cut")
}
