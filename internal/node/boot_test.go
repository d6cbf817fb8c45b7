package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/node"
)

func TestABootHasOneID(t *testing.T) {
	boot, err := node.BootID()
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f-]{36}$`, boot)
	again, err := node.BootID()
	require.NoError(t, err)
	require.Equal(t, boot, again)
}
