package watch_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

// servedBy is an observation of a node that runs n services of four components each,
// as they are released.
func servedBy(n int) (fleet.Observation, []fleet.ServiceRecord) {
	observation := fleet.Observation{Node: "rift", At: noon, Status: &fleet.NodeStatus{NodeFigures: fleet.NodeFigures{Disk: fleet.Usage{Total: 100}, Memory: fleet.Usage{Total: 100}}}}
	var services []fleet.ServiceRecord
	for i := range n {
		release := fleet.Release{Service: fmt.Sprintf("shop-%d", i), Number: 7, Active: true, Components: map[string]fleet.Member{}}
		for c := range 4 {
			m := fleet.Member{
				Component: fmt.Sprintf("part-%d", c), Container: fmt.Sprintf("shop-%d-part-%d", i, c), Node: "rift", Deployment: 7,
				Image: "r.example/web:v1", Digest: "sha256:web1", Spec: "spec", Active: true,
			}
			release.Components[m.Component] = m
			observation.Containers = append(observation.Containers, fleet.Container{
				Name: m.Container, Service: release.Service, Component: m.Component, Deployment: m.Deployment, Spec: m.Spec, Running: true,
				ID: m.Container, Image: m.Image, Digest: m.Digest, State: "running",
			})
		}
		services = append(services, fleet.ServiceRecord{Release: release})
	}
	return observation, services
}

func BenchmarkFindDrift(b *testing.B) {
	for _, n := range []int{1, 50} {
		observation, services := servedBy(n)
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.Empty(b, watch.FindDrift(observation, services, nil, nil))
			}
		})
	}
}

func BenchmarkStandings(b *testing.B) {
	for _, n := range []int{1, 50} {
		observation, services := servedBy(n)
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.Len(b, watch.Standings("rift", observation.Containers, services), 4*n)
			}
		})
	}
}

// An observation travels through Temporal twice.
func BenchmarkPackObserved(b *testing.B) {
	for _, n := range []int{1, 50} {
		observation, _ := servedBy(n)
		b.Run(fmt.Sprintf("containers=%d", 4*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text, err := observation.Containers.MarshalJSON()
				require.NoError(b, err)
				var back fleet.Observed
				require.NoError(b, back.UnmarshalJSON(text))
				require.Len(b, back, 4*n)
			}
		})
	}
}
