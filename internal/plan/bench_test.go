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
