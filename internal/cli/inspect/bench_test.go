package inspect

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/reads"
)

// fullNode is 50 services of four components on one node, and all run.
func fullNode() reads.StatusResult {
	result := reads.StatusResult{Nodes: map[string]reads.NodeContainers{}}
	rift := reads.NodeContainers{Node: "rift"}
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
		writeStatus(&session.Session{Console: ui.Console{Stdout: &out}}, statuses(result))
		require.Equal(b, 201, bytes.Count(out.Bytes(), []byte("\n")))
		require.NotContains(b, out.String(), "missing")
	}
}

func BenchmarkProcesses(b *testing.B) {
	result := reads.ProcessesResult{Services: fullNode().Services, Nodes: fullNode().Nodes}
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		writeProcesses(&session.Session{Console: ui.Console{Stdout: &out}}, processes(result))
		require.Equal(b, 201, bytes.Count(out.Bytes(), []byte("\n")))
	}
}
