package linux_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef/linux"
)

func TestSignals(t *testing.T) {
	for text, want := range map[string]int{
		"SIGTERM": 15, "term": 15, "9": 9, "RTMIN+3": 37, "SIGRTMAX-1": 63, "SIGRTMIN": 34, "": 0, "SIG": 0, "RTMIN+99": 0, "0": 0, "33": 0,
	} {
		require.Equal(t, want, linux.Signal(text), text)
	}
}
