package apps_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const prometheusURL = "https://prometheus.localhost"

// monitoring is Prometheus with its configuration as files, and an exporter.
type monitoring struct {
	*app
	release int // what the exporter's file says
}

func newMonitoring(t *testing.T) application {
	return &monitoring{app: newApp(t, "monitoring"), release: 1}
}

func (m *monitoring) first(t *testing.T) {
	m.app = m.again(t)
	m.deploy("prometheus", "exporter")
	m.value(`up{job="node"}`, "1")
	m.value("example_release", "1")
	m.value(`node_uname_info{sysname="Linux"} * 0`, "0")
}

func (m *monitoring) update(t *testing.T) {
	m.app = m.again(t)
	former := m.release
	m.release++
	label := func(release int) string { return fmt.Sprintf("job_name: node-%d", release) }

	// The exporter alone is replaced; its name leads to the new one.
	m.redefine(fmt.Sprintf("example_release %d", former), fmt.Sprintf("example_release %d", m.release))
	m.deploy("exporter")
	m.value("example_release", fmt.Sprint(m.release))

	// Prometheus alone is replaced, and has what it knew.
	old := "job_name: node"
	if former > 1 {
		old = label(former)
	}
	m.change("prometheus.yml", old+"\n", label(m.release)+"\n")
	m.deploy("prometheus")
	m.value(fmt.Sprintf(`up{job="node-%d"}`, m.release), "1")
	m.value(`min(min_over_time(example_release[1h]))`, "1")

	m.change("prometheus.yml", label(m.release), "job_named: node")
	failed := m.mcp("deploy", "monitoring")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "field job_named not found", "the log of Prometheus")
	m.change("prometheus.yml", "job_named: node", label(m.release))
	m.value(fmt.Sprintf(`up{job="node-%d"}`, m.release), "1")

	m.must("rollback", "monitoring", "--wait")
	m.value(fmt.Sprintf(`up{job=%q}`, old[len("job_name: "):]), "1")
	m.deploy("prometheus")
}

func (m *monitoring) rebooted(t *testing.T) {
	m.app = m.again(t)
	m.value(fmt.Sprintf(`up{job="node-%d"}`, m.release), "1")
	m.value(`min(min_over_time(example_release[1h]))`, "1")
	m.undeploy()
}

// value waits until Prometheus has a value for a query: it asks its targets each second.
func (m *monitoring) value(query, want string) {
	m.Helper()
	m.eventually(query+" is "+want, func() error {
		body, err := m.try(prometheusURL + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return err
		}
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return err
		}
		for _, result := range answer.Data.Result {
			if result.Value[1] == want {
				return nil
			}
		}
		return fmt.Errorf("%s is %s", query, body)
	})
}
