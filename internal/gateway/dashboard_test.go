package gateway

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/metacircular/mcp/internal/door/law"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/telemetry"
)

// The dashboard queries what a gateway exports, with labels that it has, and all of it.
func TestTheDashboardQueriesWhatAGatewayExports(t *testing.T) {
	p := newPlane(t)
	_, err := p.stream(p.join(identity.Node, "rift"), 0)
	require.NoError(t, err)
	served := p.following[0].door
	served.Refresh(t.Context())
	judged, err := law.New(law.Options{Upstream: &grpc.ClientConn{}, Namespace: "default", Key: []byte(strings.Repeat("k", law.MinKey))})
	require.NoError(t, err)
	refuse(t, judged)
	measured := telemetry.New("test")
	measure(measured, served, judged, &stream.Hub{})
	answer := httptest.NewRecorder()
	measured.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	labels := map[string]map[string]bool{}
	for _, sample := range regexp.MustCompile(`(?m)^(mcp_gateway_[a-z_]+)(?:\{([^}]*)\})? `).FindAllStringSubmatch(answer.Body.String(), -1) {
		if labels[sample[1]] == nil {
			labels[sample[1]] = map[string]bool{"instance": true}
		}
		for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(sample[2], -1) {
			labels[sample[1]][label[1]] = true
		}
	}
	require.Len(t, labels, 5, answer.Body)

	text, err := os.ReadFile("../../docs/grafana/mcp.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	queried := map[string]bool{}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`\bmcp_gateway_[a-z_]+`).FindAllString(target.Expr, -1) {
				queried[name] = true
				require.Contains(t, labels, name, target.Expr)
				for _, by := range regexp.MustCompile(`by \(([a-z]+)(?:, ([a-z]+))?\)|([a-z_]+)=~?"`).FindAllStringSubmatch(target.Expr, -1) {
					for _, label := range by[1:] {
						require.True(t, label == "" || labels[name][label], "%s has no label %s: %s", name, label, target.Expr)
					}
				}
			}
		}
	}
	require.Len(t, queried, len(labels), "each of them has a panel")
}

// refuse has a call refused.
func refuse(t *testing.T, judged *law.Law) {
	t.Helper()
	server := grpc.NewServer(judged.ServerOptions()...)
	judged.Register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = workflowservice.NewWorkflowServiceClient(conn).DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	require.ErrorContains(t, err, "the gateway refuses DescribeNamespace")
}
