package role

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/telemetry"
)

// The dashboard queries what an edge exports, with labels that it has.
func TestTheDashboardQueriesWhatAnEdgeExports(t *testing.T) {
	counts := func() []proxy.ServiceCount { return []proxy.ServiceCount{{Service: "shop"}} }
	certificates := func() []fleet.Certificate { return []fleet.Certificate{{Hostname: "shop.example"}} }
	edge := telemetry.New("test")
	measure(edge, counts, certificates)
	answer := httptest.NewRecorder()
	edge.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	labels := map[string]map[string]bool{}
	for _, sample := range regexp.MustCompile(`(?m)^(mcp_edge_[a-z_]+)\{([^}]*)\}`).FindAllStringSubmatch(answer.Body.String(), -1) {
		if labels[sample[1]] == nil {
			labels[sample[1]] = map[string]bool{"instance": true}
		}
		for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(sample[2], -1) {
			labels[sample[1]][label[1]] = true
		}
	}

	text, err := os.ReadFile("../../docs/grafana/mcp.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	queried := 0
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`\bmcp_edge_(?:request|open|certificate)[a-z_]*`).FindAllString(target.Expr, -1) {
				queried++
				require.Contains(t, labels, name, target.Expr)
				for _, by := range regexp.MustCompile(`by \(([a-z]+)(?:, ([a-z]+))?\)|([a-z_]+)=~?"`).FindAllStringSubmatch(target.Expr, -1) {
					for _, label := range by[1:] {
						require.True(t, label == "" || labels[name][label], "%s has no label %s: %s", name, label, target.Expr)
					}
				}
			}
		}
	}
	require.Positive(t, queried)
}
