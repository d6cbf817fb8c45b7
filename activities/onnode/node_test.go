package onnode_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

func TestRunContainerPassesThePortsToTheContainer(t *testing.T) {
	tests := map[string]struct {
		change func(*activities.ComponentSpec)
		env    map[string]string
		ports  []servicedef.Port
	}{
		"one route is $PORT, and the container listens on the host port": {
			func(c *activities.ComponentSpec) {
				c.Routes = []activities.RouteSpec{{Name: "rest-api", HostPort: 20000, ContainerPort: 20000}}
			},
			map[string]string{"PORT": "20000", "PORT_REST_API": "20000", "A": "b"},
			[]servicedef.Port{{IP: "10.0.0.7", Host: 20000, Container: 20000, Protocol: "tcp"}},
		},
		"two routes have their own names only": {
			func(c *activities.ComponentSpec) {
				c.Routes = []activities.RouteSpec{{Name: "a", HostPort: 20000, ContainerPort: 20000}, {Name: "b", HostPort: 20001, ContainerPort: 80}}
			},
			map[string]string{"PORT_A": "20000", "PORT_B": "80", "A": "b"},
			[]servicedef.Port{
				{IP: "10.0.0.7", Host: 20000, Container: 20000, Protocol: "tcp"},
				{IP: "10.0.0.7", Host: 20001, Container: 80, Protocol: "tcp"},
			},
		},
		"a route of udp": {
			func(c *activities.ComponentSpec) {
				c.Routes = []activities.RouteSpec{{Name: "log", HostPort: 20000, ContainerPort: 514, Protocol: "udp"}}
			},
			map[string]string{"PORT": "514", "PORT_LOG": "514", "A": "b"},
			[]servicedef.Port{{IP: "10.0.0.7", Host: 20000, Container: 514, Protocol: "udp"}},
		},
		"old-style ports stay as they are written": {
			func(c *activities.ComponentSpec) { c.Definition.Ports = []string{"127.0.0.1:8080:80", "53:53/udp"} },
			map[string]string{"A": "b"},
			[]servicedef.Port{
				{IP: "127.0.0.1", Host: 8080, Container: 80, Protocol: "tcp"},
				{Host: 53, Container: 53, Protocol: "udp"},
			},
		},
		"host networking needs no mapping": {
			func(c *activities.ComponentSpec) {
				c.Definition.Network = "host"
				c.Routes = []activities.RouteSpec{{Name: "a", HostPort: 20000, ContainerPort: 20000}}
			},
			map[string]string{"PORT": "20000", "PORT_A": "20000", "A": "b"},
			nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			require.Nil(t, h.run(api(3, test.change, func(c *activities.ComponentSpec) { c.Definition.Env = map[string]string{"A": "b"} })))
			spec := h.specs[0]
			require.Equal(t, "shop-api.next", spec.Name)
			require.Equal(t, test.env, spec.Env)
			require.Equal(t, test.ports, spec.Ports)
			require.Equal(t, map[string]string{
				"mcp.service": "shop", "mcp.component": "api", "mcp.deployment": "3", "mcp.run": "", "mcp.spec": "spec",
			}, spec.Labels)
		})
	}
}

func TestEveryStepOnANodeMayRunTwice(t *testing.T) {
	h := newHost(t)
	twice := func(step func() *fault.Error) {
		t.Helper()
		require.Nil(t, step())
		require.Nil(t, step())
	}
	twice(func() *fault.Error { return h.run(api(1)) })
	require.Equal(t, []string{"shop-api.next:1:running"}, h.names(t))
	twice(func() *fault.Error { return h.cutOver(1) })
	require.Equal(t, []string{"shop-api:1:running"}, h.names(t))
	require.Nil(t, h.run(api(1)), "a late repetition after the cut-over starts nothing")
	require.Equal(t, []string{"shop-api:1:running"}, h.names(t))

	require.Nil(t, h.run(api(2)))
	twice(func() *fault.Error { return h.cutOver(2) })
	require.ElementsMatch(t, []string{"shop-api:2:running", "shop-api.prev:1:running"}, h.names(t))
	retire := onnode.RetireInput{Service: "shop", Deployment: 2, Containers: fleet.Refs("shop-api")}
	twice(func() *fault.Error { return h.do(h.Retire, retire) })
	require.Equal(t, []string{"shop-api:2:running"}, h.names(t))

	stop := onnode.StopContainerInput{Service: "shop", Deployment: 3, Container: fleet.Ref{Name: "shop-api"}}
	twice(func() *fault.Error { return h.do(h.StopContainer, stop) })
	require.Nil(t, h.run(api(3)))
	restore := onnode.RestoreInput{Service: "shop", Deployment: 3, Closing: true, Recovery: plan.Recovery{
		Remove: fleet.Refs("shop-api.next"), Start: fleet.Refs("shop-api"),
	}}
	twice(func() *fault.Error { return h.do(h.Restore, restore) })
	require.Equal(t, []string{"shop-api:2:running"}, h.names(t))
}

func TestAnOlderDeploymentIsKeptOut(t *testing.T) {
	t.Run("by what this worker has seen", func(t *testing.T) {
		h := newHost(t)
		require.Nil(t, h.do(h.Survey, onnode.SurveyInput{Service: "shop", Deployment: 5}))
		require.Equal(t, fault.Conflict, h.run(api(4)).Kind)
		require.Empty(t, h.names(t))
	})
	t.Run("by the labels, after the worker was restarted", func(t *testing.T) {
		h := newHost(t)
		require.Nil(t, h.run(api(5)))
		h.restartWorker()
		require.Equal(t, fault.Conflict, h.cutOver(4).Kind)
	})
	t.Run("once it was undone", func(t *testing.T) {
		h := newHost(t)
		restore := onnode.RestoreInput{Service: "shop", Deployment: 5, Closing: true}
		require.Nil(t, h.do(h.Restore, restore))
		require.Equal(t, fault.Conflict, h.run(api(5)).Kind)
		require.Nil(t, h.run(api(6)))
	})
}

func TestRestoreLeavesForeignContainersAlone(t *testing.T) {
	h := newHost(t)
	other := api(1, func(c *activities.ComponentSpec) { c.Service = "other" })
	require.Nil(t, h.run(other))
	restore := onnode.RestoreInput{Service: "shop", Deployment: 1, Recovery: plan.Recovery{Remove: fleet.Refs("other-api.next")}}
	require.Nil(t, h.do(h.Restore, restore))
	require.Equal(t, []string{"other-api.next:1:running"}, h.names(t))
}

func TestEachContainerHasItsOwnStopTimeout(t *testing.T) {
	patience := map[string]time.Duration{
		"shop-api": 2 * time.Second, "shop-api.next": 3 * time.Second, "shop-db.prev": 40 * time.Second, "shop-web.prev": 0,
	}
	tests := map[string]struct {
		do   func(h *host, adopted []fleet.Adopted) *fault.Error
		want map[string]time.Duration
	}{
		"that is stopped": {
			func(h *host, _ []fleet.Adopted) *fault.Error {
				return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}})
			},
			map[string]time.Duration{"shop-api": 2 * time.Second},
		},
		"that was adopted, of its definition": {
			func(h *host, adopted []fleet.Adopted) *fault.Error {
				return h.do(h.StopContainer, onnode.StopContainerInput{Service: "shop", Deployment: 2, Container: fleet.Ref{Name: "shop-api"}, Adopted: adopted})
			},
			map[string]time.Duration{"shop-api": time.Minute},
		},
		"that is retired": {
			func(h *host, _ []fleet.Adopted) *fault.Error {
				return h.do(h.Retire, onnode.RetireInput{Service: "shop", Deployment: 2, Containers: fleet.Refs("shop-db", "shop-web")})
			},
			map[string]time.Duration{"shop-db.prev": 40 * time.Second, "shop-web.prev": 0},
		},
		"that is left of a deploy, and one that never took over is removed at once": {
			func(h *host, _ []fleet.Adopted) *fault.Error {
				return h.do(h.Restore, onnode.RestoreInput{
					Service: "shop", Deployment: 2, Recovery: plan.Recovery{Remove: fleet.Refs(slices.Sorted(maps.Keys(patience))...)},
				})
			},
			map[string]time.Duration{"shop-api": 2 * time.Second, "shop-db.prev": 40 * time.Second, "shop-web.prev": 0},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			var adopted []fleet.Adopted
			for name, timeout := range patience {
				id, err := h.engine.Run(t.Context(), runtime.ContainerSpec{
					Name: name, Image: image, Labels: map[string]string{runtime.LabelService: "shop"}, StopTimeout: timeout,
				})
				require.NoError(t, err)
				adopted = append(adopted, fleet.Adopted{ID: id, Service: "shop", Component: "api", StopTimeout: time.Minute})
			}
			for range 2 {
				require.Nil(t, test.do(h, adopted))
			}
			require.Equal(t, test.want, h.stops)
		})
	}
}

func TestSurveyFindsOwnAndForeignContainers(t *testing.T) {
	h := newHost(t)
	require.Nil(t, h.run(api(1)))
	_, err := h.engine.Run(t.Context(), runtime.ContainerSpec{Name: "shop-api", Image: image})
	require.NoError(t, err)
	value, err := h.env.ExecuteActivity(h.Survey, onnode.SurveyInput{Service: "shop", Deployment: 2, Names: []string{"shop-api"}, Ports: 2})
	require.NoError(t, err)
	var found onnode.SurveyResult
	require.NoError(t, value.Get(&found))
	for i, name := range []string{"shop-api.next", "shop-api"} {
		info, err := h.engine.Inspect(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, info.ID, found.Containers[i].ID)
		found.Containers[i].ID = ""
	}
	require.Equal(t, []fleet.Container{
		{Name: "shop-api.next", Service: "shop", Component: "api", Deployment: 1, Spec: "spec", Running: true, Image: image},
		{Name: "shop-api", Running: true, Image: image},
	}, found.Containers)
	require.Equal(t, []int{20000, 20001}, found.FreePorts)
}

func TestAnUndoWaitsForStepsUnderWay(t *testing.T) {
	h := newHost(t)
	running, goOn := make(chan struct{}), make(chan struct{})
	h.engine.Before = func(method, _ string) error {
		if method == "Run" {
			close(running)
			<-goOn
		}
		return nil
	}
	late := make(chan *fault.Error, 1)
	go func() { late <- h.run(api(5)) }()
	<-running
	undone := make(chan *fault.Error, 1)
	undoing := h.beside(t.Context())
	go func() {
		undone <- undoing.do(undoing.Restore, onnode.RestoreInput{
			Service: "shop", Deployment: 5, Closing: true, Recovery: plan.Recovery{Remove: fleet.Refs("shop-api.next")},
		})
	}()
	select {
	case <-undone:
		t.Fatal("the undo did not wait for the container that is being made")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	require.Nil(t, <-undone)
	<-late
	require.Empty(t, h.names(t), "it found the container")
}

func TestAStartThatWasInterruptedGetsOtherPorts(t *testing.T) {
	h := newHost(t)
	routed := func(port int) func(*activities.ComponentSpec) {
		return func(c *activities.ComponentSpec) {
			c.Definition.Routes = []servicedef.Route{{Name: "http", Port: 443}}
			c.Routes = []activities.RouteSpec{{Name: "http", HostPort: port, ContainerPort: port}}
		}
	}
	require.Nil(t, h.run(api(1, routed(20000))))
	h.interrupted = "shop-api.next"
	require.Equal(t, fault.PortInUse, h.run(api(1, routed(20000))).Kind)
	require.Nil(t, h.run(api(1, routed(20001))), "what was interrupted is gone")
	require.Equal(t, 20001, h.specs[1].Ports[0].Host)
}
