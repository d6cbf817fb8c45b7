package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// fleetOf is a service of n components that runs as released.
func fleetOf(n int) plan.Input {
	desired := servicedef.Service{Name: "shop", Node: "rift", Active: true}
	for i := range n {
		desired.Components = append(desired.Components, servicedef.Component{
			Name: fmt.Sprintf("part-%d", i), Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst,
			Cmd: []string{"serve"}, Env: map[string]string{"LOG_LEVEL": "info", "TITLE": "part", "DATA": "/data"},
			Volumes: []string{"data:/data"}, Routes: []servicedef.Route{{Name: "rest", Port: 8443, Mode: "l4"}},
		})
		if i%10 != 0 {
			desired.Components[i].DependsOn = []string{fmt.Sprintf("part-%d", i-1)}
		}
	}
	r := released(desired)
	return plan.Input{Desired: desired, Release: r, Nodes: map[string]plan.Node{"rift": running(r, "rift")}, Digests: digests()}
}

func BenchmarkMake(b *testing.B) {
	for _, n := range []int{1, 100} {
		unchanged, changed := fleetOf(n), fleetOf(n)
		changed.Digests = map[string]string{"r.example/api:v1": newDigest}
		for name, in := range map[string]plan.Input{"unchanged": unchanged, "changed": changed} {
			b.Run(fmt.Sprintf("%s/components=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					made, err := plan.Make(in)
					require.NoError(b, err)
					require.Equal(b, name == "unchanged", made.Unchanged())
				}
			})
		}
	}
}

// servedBy is a look at a node that runs n services of four components each, as
// they are released.
func servedBy(n int) (plan.Observation, []plan.ServiceRecord) {
	look := plan.Observation{Node: "rift", At: noon, Status: &plan.NodeStatus{Disk: plan.Usage{Total: 100}, Memory: plan.Usage{Total: 100}}}
	var services []plan.ServiceRecord
	for i := range n {
		release := plan.Release{Service: fmt.Sprintf("shop-%d", i), Number: 7, Active: true, Components: map[string]plan.ReleaseMember{}}
		for c := range 4 {
			m := plan.ReleaseMember{
				Component: fmt.Sprintf("part-%d", c), Container: fmt.Sprintf("shop-%d-part-%d", i, c), Node: "rift", Deployment: 7,
				Image: "r.example/web:v1", Digest: "sha256:web1", Spec: "spec", Active: true,
			}
			release.Components[m.Component] = m
			made := container(m, m.Container)
			made.Service = release.Service
			look.Containers = append(look.Containers, plan.ObservedContainer{
				Container: made, ID: m.Container, Image: m.Image, Digest: m.Digest, State: "running",
			})
		}
		services = append(services, plan.ServiceRecord{Release: release})
	}
	return look, services
}

func BenchmarkFindDrift(b *testing.B) {
	for _, n := range []int{1, 50} {
		look, services := servedBy(n)
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.Empty(b, plan.FindDrift(look, services, nil, nil))
			}
		})
	}
}

func BenchmarkStandings(b *testing.B) {
	for _, n := range []int{1, 50} {
		look, services := servedBy(n)
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.Len(b, plan.Standings("rift", look.Containers, services), 4*n)
			}
		})
	}
}

// What a look sends through Temporal, twice.
func BenchmarkPackObserved(b *testing.B) {
	for _, n := range []int{1, 50} {
		look, _ := servedBy(n)
		b.Run(fmt.Sprintf("containers=%d", 4*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text, err := look.Containers.MarshalJSON()
				require.NoError(b, err)
				var back plan.Observed
				require.NoError(b, back.UnmarshalJSON(text))
				require.Len(b, back, 4*n)
			}
		})
	}
}
