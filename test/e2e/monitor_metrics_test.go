package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/test/edges"
)

// series are the values of a scrape, by name and labels as they are printed.
type series map[string]float64

// scrape reads the metrics of the platform's workers.
func scrape(t *testing.T) series {
	t.Helper()
	response, err := http.Get(shared.platform.Info().Metrics)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	found := series{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[end+1:], 64)
		require.NoError(t, err, line)
		found[line[:end]] = value
	}
	return found
}

// labels are those of each metric.
func (s series) labels() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for key := range s {
		name, rest, _ := strings.Cut(key, "{")
		if all[name] == nil {
			all[name] = map[string]bool{}
		}
		for _, label := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(rest, -1) {
			all[name][label[1]] = true
		}
	}
	return all
}

// TestMetrics runs deploys that succeed and fail, and finds both in the metrics of the
// control worker, and every metric that the dashboard queries.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := scrape(t)
	w.source("v1", "")
	w.define("measured", w.service("measured", "v1", "")+
		w.job("tick", w.image("measured", "v1"), `cmd = ["/app", "say", "tick", "0"]`+"\nschedule = \"manual\"")+
		"\n[[steps]]\nname = \"greet\"\ncomponent = \"app\"\ncmd = [\"/app\", \"say\", \"hello\", \"0\"]\n")
	w.deploy("measured")
	require.Zero(t, w.mcp("run", "measured/tick").code)
	ofJobs := scrape(t)
	w.define("measured", w.service("measured", "v1", `env = { MODE = "exit" }`))
	failed := w.mcp("deploy", "measured", "--json")
	require.Equal(t, 1, failed.code, failed)
	require.Zero(t, w.mcp("undeploy", "measured", "-y").code)
	front, err := edges.New(w.temporal(), "scraped", fleet.Machine{})
	require.NoError(t, err)
	_, err = front.Announce(t.Context())
	require.NoError(t, err)
	after := scrape(t)
	require.Zero(t, w.mcp("edge", "remove", "scraped", "-y").code)

	for key, value := range ofJobs {
		if ofJob(key) {
			after[key] = value
		}
	}

	t.Run("describe the jobs", func(t *testing.T) {
		require.Zero(t, after[`mcp_job_failing{job="tick",service="measured"}`])
		require.Contains(t, after, `mcp_job_running{job="tick",service="measured"}`)
		require.Contains(t, after, `mcp_job_succeeded_seconds{job="tick",service="measured"}`)
	})

	t.Run("count what was done", func(t *testing.T) {
		for _, counter := range []string{
			`mcp_deploys_total{dirty="false",outcome="succeeded",verb="deploy"}`,
			`mcp_deploys_total{dirty="false",outcome="failed",verb="deploy"}`,
			`mcp_deploys_total{dirty="false",outcome="succeeded",verb="undeploy"}`,
			`mcp_deploy_seconds_count{outcome="failed"}`,
			`mcp_builds_total{outcome="succeeded"}`,
			`mcp_undos_total{outcome="complete"}`,
			`mcp_job_runs_total{outcome="succeeded"}`,
			`mcp_steps_total{outcome="succeeded"}`,
			`mcp_step_seconds_count{activity="RunContainer",outcome="succeeded"}`,
			`mcp_step_seconds_count{activity="RunContainer",outcome="Unhealthy"}`,
		} {
			require.Greater(t, after[counter], before[counter], counter)
		}
	})

	t.Run("describe the nodes", func(t *testing.T) {
		require.Equal(t, 1.0, after[`mcp_node_up{node="local"}`])
		require.Greater(t, after[`mcp_node_memory_bytes{node="local"}`], after[`mcp_node_memory_used_bytes{node="local"}`])
		require.Contains(t, after, `mcp_node_ports_in_use{node="local"}`)
		require.Contains(t, after, `mcp_node_drift{kind="flapping",node="local"}`)
		require.Positive(t, after[`mcp_node_disk_used_bytes{node="local",path="`+w.podman("info", "--format", "{{.Store.GraphRoot}}")+`"}`])
	})

	t.Run("begin at zero", func(t *testing.T) {
		require.Contains(t, before, `mcp_deploys_total{dirty="true",outcome="cancelled",verb="rollback"}`)
		require.Contains(t, before, `mcp_undos_total{outcome="incomplete"}`)
	})

	t.Run("have no unbounded label", func(t *testing.T) {
		for key := range after {
			if !ofJob(key) {
				require.NotContains(t, key, "measured", "a service's name")
			}
			require.NotRegexp(t, `[0-9a-f]{8}-[0-9a-f]{4}-|sha256|"[0-9]+"`, regexp.MustCompile(`le="[^"]*"`).ReplaceAllString(key, ""), "an id")
		}
	})

	t.Run("have all that the dashboard queries", func(t *testing.T) {
		exported := after.labels()
		for _, expression := range dashboard(t) {
			names := regexp.MustCompile(`\b(mcp|temporal|go|process)_[a-z_]+\b`).FindAllString(expression, -1)
			require.NotEmpty(t, names, expression)
			for _, name := range names {
				if ofOthers.MatchString(name) {
					continue // mcp-edge or a gateway exports it, and its tests check that
				}
				require.Contains(t, exported, name, expression)
				for _, label := range labelsIn(expression) {
					require.True(t, exported[name][label], "%s has no label %s: %s", name, label, expression)
				}
			}
		}
	})
}

// ofOthers matches the metrics of mcp-edge and of gateways themselves.
var ofOthers = regexp.MustCompile(`^mcp_(edge_(request|open|certificate)|gateway_)`)

// ofJob reports whether a series is that of a job, whose labels name it.
func ofJob(key string) bool {
	return strings.HasPrefix(key, "mcp_job_") && !strings.HasPrefix(key, "mcp_job_runs")
}

// dashboard lists the expressions of docs/grafana/mcp.json.
func dashboard(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/grafana/mcp.json")
	require.NoError(t, err)
	var board struct {
		Templating struct {
			List []struct {
				Query json.RawMessage
			}
		}
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	var list []string
	for _, panel := range board.Panels {
		require.Equal(t, panel.Type == "row", len(panel.Targets) == 0, panel.Title)
		for _, target := range panel.Targets {
			list = append(list, target.Expr)
		}
	}
	for _, variable := range board.Templating.List {
		var query struct{ Query string }
		if json.Unmarshal(variable.Query, &query) == nil {
			list = append(list, query.Query)
		}
	}
	require.Greater(t, len(list), len(board.Panels)/2)
	return list
}

// labelsIn are the labels that an expression groups or selects by, but for
// those that Prometheus adds.
func labelsIn(expression string) []string {
	var list []string
	for _, group := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(expression, -1) {
		list = append(list, strings.Split(group[1], ", ")...)
	}
	for _, match := range regexp.MustCompile(`([a-z_]+)(=|!=|=~)"`).FindAllStringSubmatch(expression, -1) {
		list = append(list, match[1])
	}
	var ours []string
	for _, label := range list {
		if label != "instance" {
			ours = append(ours, label)
		}
	}
	return ours
}
