package e2e

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
)

// The saved views of the documentation are queries that Temporal understands.
func TestTheQueriesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/temporal.md")
	require.NoError(t, err)
	queries := regexp.MustCompile("(?m)^\\| .* \\| `(.+)` \\|$").FindAllSubmatch(text, -1)
	require.Len(t, queries, 5)
	for _, q := range queries {
		_, err := newWorld(t).temporal().ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: string(q[1])})
		require.NoError(t, err, string(q[1]))
	}
}
