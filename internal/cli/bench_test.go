package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/test/display"
	"github.com/metacircular/mcp/workflows"
)

// recorded is a history that a deploy has left.
func recorded(b *testing.B, name string) *history.History {
	file, err := os.Open("../../workflows/testdata/histories/" + name)
	require.NoError(b, err)
	defer file.Close()
	h, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
	require.NoError(b, err)
	return h
}

func BenchmarkTimeline(b *testing.B) {
	for _, live := range []bool{false, true} {
		b.Run(fmt.Sprintf("live=%t", live), func(b *testing.B) {
			events := recorded(b, "0002/pruned.json").GetEvents()
			b.ReportAllocs()
			for b.Loop() {
				var out bytes.Buffer
				view := newTimeline(&out, converter.GetDefaultDataConverter())
				view.live = live
				for _, e := range events {
					view.event(e)
				}
				require.Contains(b, out.String(), "commit the release")
			}
			b.ReportMetric(float64(len(events)), "events/op")
		})
	}
}

// One redrawing, as ten times a second, of a deploy that waits for 20 steps.
func BenchmarkScreen(b *testing.B) {
	lines := make([]string, 20)
	for i := range lines {
		lines[i] = fmt.Sprintf("  1.20s ⠋ shop-%d: build  (1.2s): STEP 4/12: RUN go build ./... and a good deal more than fits", i)
	}
	s := &screen{out: io.Discard, size: display.New(80, 24).Size}
	s.panels = []*panel{{lines: func() []string { return lines }}}
	b.ReportAllocs()
	for b.Loop() {
		s.draw()
		require.Len(b, s.drawn, len(lines))
	}
}

// fullNode is 50 services of four components on one node, and all run.
func fullNode() workflows.StatusResult {
	result := workflows.StatusResult{Nodes: map[string]workflows.NodeContainers{}}
	rift := workflows.NodeContainers{Node: "rift"}
	for i := range 50 {
		release := fleet.Release{Service: fmt.Sprintf("shop-%d", i), Number: 7, Active: true, Components: map[string]fleet.Member{}}
		for c := range 4 {
			m := fleet.Member{
				Component: fmt.Sprintf("part-%d", c), Container: fmt.Sprintf("shop-%d-part-%d", i, c), Node: "rift", Deployment: 7,
				Image: "r.example/web:v1", Digest: "sha256:web1", Spec: "spec", Active: true,
				Routes: []fleet.Route{{Name: "rest", Port: 8443, Mode: "l4", HostPort: 20000 + 4*i + c}},
			}
			release.Components[m.Component] = m
			rift.Containers = append(rift.Containers, fleet.Container{
				ID: m.Container, Name: m.Container, Service: release.Service, Component: m.Component, Deployment: 7, Spec: "spec",
				Image: m.Image, Digest: m.Digest, State: "running", Running: true, Started: time.Now(), UptimeSeconds: 3600,
			})
		}
		result.Services = append(result.Services, fleet.ServiceRecord{Release: release})
	}
	result.Nodes["rift"] = rift
	return result
}

func BenchmarkStatus(b *testing.B) {
	result := fullNode()
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		(&App{Stdout: &out}).writeStatus(statuses(result))
		require.Equal(b, 201, bytes.Count(out.Bytes(), []byte("\n")))
		require.NotContains(b, out.String(), "missing")
	}
}

func BenchmarkProcesses(b *testing.B) {
	result := workflows.ProcessesResult{Services: fullNode().Services, Nodes: fullNode().Nodes}
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		(&App{Stdout: &out}).writeProcesses(processes(result))
		require.Equal(b, 201, bytes.Count(out.Bytes(), []byte("\n")))
	}
}
