package registry_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/registry"
)

// A node offers more candidates than are needed; each allocation is for a component
// that holds no port yet.
func BenchmarkAllocatePorts(b *testing.B) {
	for _, n := range []int{1, 50} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			store, address := newStore(b)
			begin(b, store, "shop", "api")
			candidates := rand.Perm(20000)[:2*n]
			for i := range candidates {
				candidates[i] += 20000
			}
			request := portRequest("shop", "api", 1, candidates)
			for i := range n {
				request.Routes = append(request.Routes, fleet.Route{Name: fmt.Sprintf("route-%d", i), Port: 8443, Mode: "l4"})
			}
			b.ReportAllocs()
			for b.Loop() {
				routes, err := store.AllocatePorts(b.Context(), request)
				require.NoError(b, err)
				require.Len(b, routes, n)
				b.StopTimer()
				exec(b, address, "delete from component_routes")
				b.StartTimer()
			}
		})
	}
}

// BenchmarkRecordObservation measures the work of the registry twice a minute for
// each node.
func BenchmarkRecordObservation(b *testing.B) {
	for _, n := range []int{1, 50} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			store, address := newStore(b)
			record(b, store, fleet.NodeRecord{Name: "rift"})
			var containers []fleet.Container
			for i := range n {
				containers = append(containers, release(b, store, fmt.Sprintf("shop-%d", i), "web", "api", "db", "cache")...)
			}
			exec(b, address, "update deployments set finished_at = finished_at - interval '1 hour'")
			at := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				at = at.Add(30 * time.Second)
				found := observe(b, store, fleet.Observation{
					Node: "rift", At: at, Status: &fleet.NodeStatus{Hostname: "rift.example"}, Containers: containers,
				})
				require.Empty(b, found.Events)
			}
		})
	}
}

// release releases a service, and returns its containers as released.
func release(b *testing.B, store *registry.Store, service string, components ...string) (containers []fleet.Container) {
	begin(b, store, service, components...)
	var members []fleet.Member
	for _, name := range components {
		m := member(service, name, 1)
		members = append(members, m)
		containers = append(containers, fleet.Container{
			Name: m.Container, Service: service, Component: name, Deployment: 1, Spec: m.Spec, Running: true,
			ID: m.Container, Image: m.Image, Digest: m.Digest, State: "running", Started: time.Now(),
		})
	}
	commit(b, store, service, 1, members...)
	finish(b, store, service, 1, "succeeded")
	return containers
}
