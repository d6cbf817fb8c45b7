package machines_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/metacircular/mcp/internal/cli"
)

// roles are the names by which this test binary is called on a machine.
var roles = []string{"machine-plane", "machine-images", "machine-podman", "machine-unit", "systemctl", "apt-get"}

func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == "mcp" {
		os.Exit(cli.Main(nil))
	}
	if name != "machine" && !slices.Contains(roles, name) {
		os.Exit(m.Run())
	}
	if err := be(name, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// be is what a role does.
func be(role string, args []string) error {
	switch role {
	case "machine":
		return beMachine(args)
	case "machine-plane":
		return bePlane(args)
	case "machine-images":
		return beImages(args)
	case "machine-podman":
		return bePodman()
	case "machine-unit":
		return beUnit(args)
	case "systemctl":
		return beSystemctl(args)
	}
	return beAptGet(args)
}
