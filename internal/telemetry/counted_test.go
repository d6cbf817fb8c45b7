package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/telemetry"
)

func TestCountsOfAnOwnerAreScraped(t *testing.T) {
	m := telemetry.New("test")
	service := []telemetry.Label{{Name: "service"}}
	for _, name := range []string{"x_open", "x_total", "x_seconds"} {
		m.Declare(telemetry.Metric{Name: name, Help: "X.", Labels: service})
	}
	shop := map[string]string{"service": "shop"}
	requests := 2.0
	m.Counted(func() telemetry.Counts {
		return telemetry.Counts{
			Gauges:   []telemetry.Gauge{{Name: "x_open", Labels: shop, Value: 1}},
			Counters: []telemetry.Gauge{{Name: "x_total", Labels: shop, Value: requests}},
			Histograms: []telemetry.Histogram{{
				Name: "x_seconds", Labels: shop, Count: 3, Sum: 2.5, Buckets: map[float64]uint64{0.1: 1, 1: 2},
			}},
		}
	})
	scrape := func() string {
		answer := httptest.NewRecorder()
		m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer.Body.String()
	}
	body := scrape()
	for _, line := range []string{
		"# TYPE x_open gauge", `x_open{service="shop"} 1`,
		"# TYPE x_total counter", `x_total{service="shop"} 2`,
		"# TYPE x_seconds histogram", `x_seconds_bucket{service="shop",le="0.1"} 1`, `x_seconds_bucket{service="shop",le="1"} 2`,
		`x_seconds_bucket{service="shop",le="+Inf"} 3`, `x_seconds_sum{service="shop"} 2.5`, `x_seconds_count{service="shop"} 3`,
	} {
		require.Contains(t, body, line+"\n")
	}
	requests = 7
	require.Contains(t, scrape(), `x_total{service="shop"} 7`+"\n")
}
