package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The nodes of other tests, which share the registry, do not matter.
func TestDoctorFindsNothingWrongWithThePlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.define("sound", w.service("sound", "v1", ""))
	var list []struct{ Check, Status, Detail, Hint string }
	require.Eventually(t, func() bool { // the node has to be observed first
		r := w.mcp("doctor", "--json")
		r.decode(t, &list)
		require.NotEqual(t, 4, r.code, r)
		for _, f := range list {
			if f.Status == "warn" && f.Check == "monitor local" {
				return false
			}
		}
		return true
	}, time.Minute, time.Second)
	checks := map[string]string{}
	for _, f := range list {
		checks[f.Check] = f.Status
	}
	for _, check := range []string{
		"configuration", "services", "builder", "temporal", "namespace", "search attributes", "postgres", "monitor local",
		"image registry " + w.registry + ", from here", "image registry " + w.registry + ", from the control worker",
	} {
		require.Equal(t, "ok", checks[check], "%s: %v", check, list)
	}
	for _, check := range []string{"control worker", "node local"} {
		require.Equal(t, "warn", checks[check], "the platform is of another version")
	}
}

func TestOpenKnowsThePlatformsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info := shared.platform.Info()
	r := w.mcp("open", "shop", "--ui", "--config", filepath.Join(info.Dir, "mcp.toml"))
	require.Zero(t, r.code, r)
	require.Equal(t, info.UI+"/namespaces/default/workflows?query=McpService+%3D+%22shop%22\n", r.stdout)
}
