package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
	"github.com/metacircular/mcp/servicedef"
)

var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// watched is the node rift on which a service of one component, web, runs as
// released.
func watched() (fleet.Observation, []fleet.ServiceRecord) {
	member := fleet.Member{
		Component: "web", Container: "shop-web", Node: "rift", Deployment: 7,
		Image: "r.example/web:v1", Digest: "sha256:web1", Spec: "spec", Active: true,
		Routes: []fleet.Route{{Name: "http", Port: 80, Mode: "l7", HostPort: 20001}},
	}
	definition := servicedef.Service{Name: "shop", Components: []servicedef.Component{{
		Name: "web", Node: "rift", Routes: []servicedef.Route{{Name: "http", Port: 80, Mode: "l7", ContainerPort: 8080}},
	}}}
	away := member
	away.Component, away.Container, away.Node = "db", "shop-db", "orion"
	return fleet.Observation{
			Node: "rift", At: noon,
			Status: &fleet.NodeStatus{NodeFigures: fleet.NodeFigures{Disk: fleet.Usage{Total: 100, Used: 10}, Memory: fleet.Usage{Total: 100, Used: 10}}},
			Containers: []fleet.Container{
				{Name: "other", Running: true, ID: "1", State: "running"},
				{
					Name: "shop-web", Service: "shop", Component: "web", Deployment: 7, Spec: "spec", Running: true,
					ID: "2", Image: "r.example/web@sha256:web1", Digest: "sha256:local", State: "running",
					Ports: []servicedef.Port{{IP: "127.0.0.1", Host: 20001, Container: 8080, Protocol: "tcp"}},
				},
			},
		}, []fleet.ServiceRecord{{Release: fleet.Release{
			Service: "shop", Number: 7, Active: true, Definition: &definition,
			Components: map[string]fleet.Member{"web": member, "db": away},
		}}}
}

// rendered is drift as "kind subject".
func rendered(found []fleet.Drift) string {
	var list []string
	for _, d := range found {
		list = append(list, strings.TrimSpace(string(d.Kind)+" "+d.Container))
	}
	return strings.Join(list, ", ")
}

func TestFindDrift(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(o *fleet.Observation, web *fleet.Container, member *fleet.Member)
		want   string
	}{
		{"all is as it should be", func(*fleet.Observation, *fleet.Container, *fleet.Member) {}, ""},
		{"the container is gone", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			o.Containers = o.Containers[:1]
		}, "missing shop-web"},
		{"it has another name", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Name = "mine"
		}, "renamed shop-web"},
		{"a deploy that was terminated has set it aside", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Name, c.Running, c.State = "shop-web.prev", false, "stopped"
		}, "renamed shop-web, stopped shop-web"},
		{"it does not run", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Running, c.State, c.ExitCode = false, "stopped", 137
		}, "stopped shop-web"},
		{"it runs by the digest that the engine knows", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Image, c.Digest = "r.example/web:latest", "sha256:web1"
		}, ""},
		{"a foreign container of another image is in its place", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			*c = fleet.Container{Name: "shop-web", Running: true, Image: "docker.io/nginx", Digest: "sha256:nginx"}
		}, "wrong-image shop-web"},
		{"a foreign container of the same image is in its place", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Service, c.Component, c.Deployment, c.Spec = "", "", 0, ""
		}, "replaced shop-web"},
		{"another deployment of its number made it", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Run = "lost"
		}, "replaced shop-web"},
		{"it publishes another port", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Ports[0].Host = 20002
		}, "wrong-ports shop-web"},
		{"it publishes no port", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Ports = nil
		}, "wrong-ports shop-web"},
		{"a foreign container has its name, and it has another", func(o *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Name = "mine"
			o.Containers = append(o.Containers, fleet.Container{Name: "shop-web", Running: true, ID: "3", Image: "docker.io/nginx"})
		}, "renamed shop-web"},
		{"another deployment made it", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Deployment = 6
		}, "replaced shop-web"},
		{"its specification is another", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Spec = "other"
		}, "replaced shop-web"},
		{"it is restarted again and again, and between two restarts", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Running, c.State, c.Restarted = false, "stopped", []time.Time{noon, noon, noon}
		}, "flapping shop-web"},
		{"what a program that ends again and again is at the moment is chance", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Restarted, c.Unnamed, c.Health = []time.Time{noon, noon, noon}, "it is not connected to network mcp-shop", "unhealthy"
		}, "flapping shop-web"},
		{"it was restarted twice", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Restarted = []time.Time{noon, noon}
		}, ""},
		{"it is unhealthy", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Health = "unhealthy"
		}, "unhealthy shop-web"},
		{"its health is not determined yet", func(_ *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			c.Health = "starting"
		}, ""},
		{"it was stopped on purpose, and runs", func(_ *fleet.Observation, _ *fleet.Container, m *fleet.Member) {
			m.Active = false
		}, "running shop-web"},
		{"it was stopped on purpose", func(_ *fleet.Observation, c *fleet.Container, m *fleet.Member) {
			m.Active, c.Running, c.State = false, false, "stopped"
		}, ""},
		{"it was stopped on purpose, and is gone", func(o *fleet.Observation, _ *fleet.Container, m *fleet.Member) {
			m.Active, o.Containers = false, nil
		}, ""},
		{"a container of a component that lives elsewhere", func(o *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			stray := *c
			stray.Name, stray.Component = "shop-db", "db"
			o.Containers = append(o.Containers, stray)
		}, "orphan shop-db"},
		{"a container of an unknown service", func(o *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			stray := *c
			stray.Name, stray.Service = "blog-web", "blog"
			o.Containers = append(o.Containers, stray)
		}, "orphan blog-web"},
		{"a second container beside the right one", func(o *fleet.Observation, c *fleet.Container, _ *fleet.Member) {
			stray := *c
			stray.Name = "shop-web.next"
			o.Containers = append(o.Containers, stray)
		}, "orphan shop-web.next"},
		{"the disk is nearly full", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			o.Status.Disk.Used = 90
		}, "disk"},
		{"the disk is not so full", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			o.Status.Disk.Used = 89
		}, ""},
		{"the memory is nearly full", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			o.Status.Memory.Used = 95
		}, "memory"},
		{"the node does not answer: its worker may only be restarted", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			*o = fleet.Observation{Node: "rift", At: noon, Problem: "no worker"}
		}, ""},
		{"the node does not answer again", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			*o = fleet.Observation{Node: "rift", At: noon, Problem: "no worker", Unanswered: noon.Add(-time.Minute)}
		}, "unreachable"},
		{"the node answers again", func(o *fleet.Observation, _ *fleet.Container, _ *fleet.Member) {
			o.Unanswered = noon.Add(-time.Minute)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, services := watched()
			member := services[0].Release.Components["web"]
			test.change(&o, &o.Containers[1], &member)
			services[0].Release.Components["web"] = member
			require.Equal(t, test.want, rendered(watch.FindDrift(o, services, nil, nil)))
		})
	}

	t.Run("a busy service has no drift", func(t *testing.T) {
		o, services := watched()
		o.Containers[1].Name = "shop-web.next"
		require.Empty(t, watch.FindDrift(o, services, map[string]bool{"shop": true}, nil))
	})

	t.Run("what is nearly full stays so until there is some room", func(t *testing.T) {
		o, services := watched()
		open := []fleet.OpenDrift{{Drift: fleet.Drift{Kind: fleet.DriftDisk}}}
		for used, want := range map[uint64]string{89: "disk", 85: "disk", 84: ""} {
			o.Status.Disk.Used = used
			require.Equal(t, want, rendered(watch.FindDrift(o, services, nil, open)), used)
		}
	})
}

func TestEachFileSystemHasItsOwnDrift(t *testing.T) {
	disk := func(path string, used uint64) fleet.Disk {
		return fleet.Disk{Path: path, Usage: fleet.Usage{Total: 100 << 30, Used: used << 30}}
	}
	o := fleet.Observation{Node: "rift", Status: &fleet.NodeStatus{
		Storage: "/var/lib/containers", NodeFigures: fleet.NodeFigures{
			Disk: fleet.Usage{Total: 100, Used: 95}, Disks: []fleet.Disk{disk("/srv/a", 91), disk("/srv/b", 87), disk("/srv/c", 87)},
		},
	}}
	open := []fleet.OpenDrift{{Drift: fleet.Drift{Kind: fleet.DriftDisk, Path: "/srv/b"}}}
	require.Equal(t, []fleet.Drift{
		{Kind: fleet.DriftDisk, Detail: "/var/lib/containers: 95 % of 0.0 GiB is in use"},
		{Kind: fleet.DriftDisk, Path: "/srv/a", Detail: "/srv/a: 91 % of 100.0 GiB is in use"},
		{Kind: fleet.DriftDisk, Path: "/srv/b", Detail: "/srv/b: 87 % of 100.0 GiB is in use"},
	}, watch.FindDrift(o, nil, nil, open))
	events, still := watch.Events(o, watch.FindDrift(o, nil, nil, open), nil, open)
	require.Len(t, events, 2, "one that was full is no news")
	require.Len(t, still, 3)
}

func TestEvents(t *testing.T) {
	drift := func(kind fleet.DriftKind, service string) fleet.Drift {
		return fleet.Drift{Kind: kind, Service: service, Container: service, Detail: "as first seen"}
	}
	stopped, missing, away := drift(fleet.DriftStopped, "shop"), drift(fleet.DriftMissing, "blog"), drift(fleet.DriftUnreachable, "")
	again := stopped
	again.Detail = "as seen again"
	since := noon.Add(-time.Hour)
	open := func(list ...fleet.Drift) (found []fleet.OpenDrift) {
		for _, d := range list {
			found = append(found, fleet.OpenDrift{Drift: d, Since: since})
		}
		return found
	}
	began := func(d fleet.Drift) fleet.Event { return fleet.Event{At: noon, Node: "rift", Drift: d, Since: noon} }
	ended := func(d fleet.Drift) fleet.Event {
		return fleet.Event{At: noon, Node: "rift", Drift: d, Ended: true, Since: since}
	}
	back := away
	back.Kind = fleet.DriftBack
	gone := began(away)
	gone.Since = noon.Add(-time.Minute)
	for _, test := range []struct {
		name        string
		open        []fleet.OpenDrift
		problem     string
		found       []fleet.Drift
		busy        string
		want        []fleet.Event
		wantedStill []fleet.Drift
	}{
		{"nothing, and again", nil, "", nil, "", nil, nil},
		{"one begins", nil, "", []fleet.Drift{stopped}, "", []fleet.Event{began(stopped)}, []fleet.Drift{stopped}},
		{"it goes on", open(stopped), "", []fleet.Drift{again}, "", nil, []fleet.Drift{stopped}},
		{"it ends", open(stopped), "", nil, "", []fleet.Event{ended(stopped)}, nil},
		{"one ends as another begins", open(stopped), "", []fleet.Drift{missing}, "", []fleet.Event{ended(stopped), began(missing)}, []fleet.Drift{missing}},
		{"it is left open while its service is busy", open(stopped, missing), "", nil, "shop", []fleet.Event{ended(missing)}, []fleet.Drift{stopped}},
		{"its node has left one observation unanswered", open(stopped), "gone", nil, "", nil, []fleet.Drift{stopped}},
		{"its node goes away: its state is unknown", open(stopped), "gone", []fleet.Drift{away}, "", []fleet.Event{gone}, []fleet.Drift{stopped, away}},
		{"its node stays away", open(stopped, away), "gone", []fleet.Drift{away}, "", nil, []fleet.Drift{stopped, away}},
		{"its node is back, and it has not changed", open(stopped, away), "", []fleet.Drift{stopped}, "", []fleet.Event{ended(back)}, []fleet.Drift{stopped}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := fleet.Observation{Node: "rift", At: noon, Problem: test.problem, Unanswered: gone.Since}
			events, still := watch.Events(o, test.found, map[string]bool{test.busy: test.busy != ""}, test.open)
			require.Equal(t, test.want, events)
			var kept []fleet.Drift
			for _, d := range still {
				kept = append(kept, d.Drift)
			}
			require.Equal(t, test.wantedStill, kept)
		})
	}
}

func TestRestarts(t *testing.T) {
	started := noon.Add(-time.Hour)
	before := fleet.Container{ID: "1", Restarts: 5, Started: started}
	now := before
	for _, test := range []struct {
		name   string
		change func(before, now *fleet.Container)
		want   []time.Time
	}{
		{"none", func(*fleet.Container, *fleet.Container) {}, nil},
		{"one by the engine", func(_, c *fleet.Container) { c.Restarts, c.Started = 6, noon }, []time.Time{noon}},
		{"one by hand", func(_, c *fleet.Container) { c.Started = noon }, []time.Time{noon}},
		{"many at once count as enough", func(_, c *fleet.Container) { c.Restarts = 500 }, []time.Time{noon, noon, noon}},
		{"its first start is none", func(b, _ *fleet.Container) { b.Started = time.Time{} }, nil},
		{"the engine resets its count", func(_, c *fleet.Container) { c.Restarts = 0 }, nil},
		{"those before are kept", func(b, c *fleet.Container) {
			b.Restarted, c.Restarts = []time.Time{noon.Add(-time.Minute)}, 6
		}, []time.Time{noon.Add(-time.Minute), noon}},
		{"those that are too old are not", func(b, _ *fleet.Container) {
			b.Restarted = []time.Time{noon.Add(-watch.FlapWindow), noon.Add(1 - watch.FlapWindow)}
		}, []time.Time{noon.Add(1 - watch.FlapWindow)}},
		{"and no more than are needed", func(b, c *fleet.Container) {
			b.Restarted, c.Restarts = []time.Time{noon.Add(-3), noon.Add(-2), noon.Add(-1)}, 6
		}, []time.Time{noon.Add(-2), noon.Add(-1), noon}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, now := before, now
			test.change(&before, &now)
			got := watch.Restarts(&before, now, noon)
			require.Len(t, got, len(test.want))
			for i := range test.want {
				require.Equal(t, test.want[i], got[i])
			}
		})
	}
	require.Empty(t, watch.Restarts(nil, now, noon), "it was not observed before")
}

func TestAComponentThatHasDoneItsWorkHasNotDrifted(t *testing.T) {
	definition := servicedef.Service{Name: "shop", Components: []servicedef.Component{{Name: "migrate", Node: "rift", Restart: "on-failure:3"}}}
	m := fleet.Member{Component: "migrate", Container: "shop-migrate", Node: "rift", Deployment: 1, Digest: "sha256:a", Active: true}
	r := fleet.Release{Service: "shop", Definition: &definition, Components: map[string]fleet.Member{"migrate": m}}
	found := fleet.Container{
		Name: "shop-migrate", Service: "shop", Component: "migrate", Deployment: 1, Digest: "sha256:a", State: "stopped",
	}
	require.Empty(t, watch.MemberDrift(r, m, &found))
	found.ExitCode = 1
	require.Len(t, watch.MemberDrift(r, m, &found), 1, "it has failed")
	found.ExitCode = 0
	definition.Components[0].Restart = "unless-stopped"
	require.Len(t, watch.MemberDrift(r, m, &found), 1, "it should run")
	definition.Components[0].Restart = "no"
	definition.Components[0].Routes = []servicedef.Route{{Name: "http", Port: 80}}
	require.Len(t, watch.MemberDrift(r, m, &found), 1, "it should serve")
}
