package change

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/workflows"
)

func TestWhatBecameOfAnImage(t *testing.T) {
	for want, image := range map[string]workflows.ImageResult{
		"built and pushed":      {Built: true, Pushed: true, Digest: "sha256:1"},
		"built, and not pushed": {Built: true},
		"exists":                {Digest: "sha256:1"},
		"not built":             {},
	} {
		require.Equal(t, want, imageWord(image))
	}
}
