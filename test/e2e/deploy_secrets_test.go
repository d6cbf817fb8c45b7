package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

func TestASecretStaysOnItsNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("guarded", w.service("guarded", "v1", ""))
	port := w.deploy("guarded").Components[0].Ports["http"]
	t.Cleanup(func() { w.mcp("undeploy", "guarded", "-y") })

	// The program answers with $VERSION.
	w.define("guarded", w.service("guarded", "v1", "secrets = [\"guarded-key\"]\nsecret_env = { VERSION = \"guarded-version\" }"))
	w.secret("guarded-key", "for the file")
	r := w.mcp("deploy", "guarded", "--json")
	require.Equal(t, 1, r.code, r)
	var refused workflows.Result
	r.decode(t, &refused)
	require.Equal(t, fault.Invalid, refused.Error.Kind, r)
	require.Contains(t, refused.Error.Message, "guarded-version")
	require.Equal(t, "set it: mcp secret set guarded/guarded-version; or make it on "+w.node+": podman secret create guarded-version FILE", refused.Error.Hint)
	require.False(t, w.summary(refused.WorkflowID).touched())
	require.Equal(t, []string{"app", w.node}, []string{refused.Error.Component, refused.Error.Node})
	require.Equal(t, "v1", w.fetch(port), "nothing has changed")

	w.secret("guarded-version", "known-to-few")
	result := w.deploy("guarded")
	require.Equal(t, "known-to-few", w.fetch(result.Components[0].Ports["http"]))
	var recorded strings.Builder
	history := w.temporal().GetWorkflowHistory(t.Context(), result.WorkflowID, result.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		recorded.WriteString(event.String())
	}
	recorded.WriteString(w.sql("select string_agg(definition::text, ' ') from deployments where service = 'guarded'"))
	require.Contains(t, recorded.String(), "guarded-version")
	require.NotContains(t, recorded.String(), "known-to-few")

	w.secret("guarded-version", "known-to-none")
	require.Equal(t, workflows.Unchanged, w.deploy("guarded").Outcome)
	restarted := w.mcp("restart", "guarded", "--wait", "--json")
	require.Zero(t, restarted.code, restarted)
	restarted.decode(t, &result)
	require.Equal(t, "known-to-none", w.fetch(result.Components[0].Ports["http"]))
}

// secret creates or replaces a secret of the node's podman.
func (w *world) secret(name, value string) {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	require.NoError(w.t, os.WriteFile(file, []byte(value), 0o600))
	if strings.Contains(w.podman("secret", "ls", "--format", "{{.Name}}"), name) {
		w.podman("secret", "rm", name)
	} else {
		w.t.Cleanup(func() { w.podman("secret", "rm", name) })
	}
	w.podman("secret", "create", name, file)
}
