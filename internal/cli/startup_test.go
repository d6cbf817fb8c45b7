package cli_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every command, a completion at each press of a key too, pays for what the
// packages that are linked do when they are initialized. These cost most, and
// come along when a package that uses them is imported without a thought.
func TestNoHeavyPackageIsLinked(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/metacircular/mcp/cmd/mcp")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	output, err := list.Output()
	require.NoError(t, err)
	packages := strings.Fields(string(output))
	require.Contains(t, packages, "go.temporal.io/sdk/client", "the list is one of what mcp links")
	for _, heavy := range []string{
		"github.com/containers/buildah/",
		"github.com/containers/podman/v5/libpod/",
		"github.com/containers/podman/v5/pkg/auth",
		"github.com/containers/podman/v5/pkg/bindings/", // its root is light
		"github.com/containers/podman/v5/pkg/domain/",
		"github.com/containers/podman/v5/pkg/specgen",
		"github.com/distribution/reference",
		"github.com/letsencrypt/",
		"github.com/Masterminds/",
		"github.com/sigstore/fulcio",
		"github.com/sigstore/rekor",
		"github.com/sigstore/sigstore/pkg/oauth", // the packages for keys in files are light
		"github.com/sigstore/sigstore/pkg/signature/kms",
		"github.com/spf13/cobra/doc",
		"github.com/opencontainers/cgroups",
		"go.podman.io/common/pkg/auth",
		"go.podman.io/image/", // it compiles a dozen regular expressions
		"go.podman.io/storage/drivers",
	} {
		for _, found := range packages {
			require.False(t, strings.HasPrefix(found, heavy), "mcp links %s", found)
		}
	}
}
