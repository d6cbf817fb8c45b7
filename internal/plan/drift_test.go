package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/plan"
)

var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// watched is the node rift on which a service of one component, web, runs as
// it should.
func watched() (plan.Observation, []plan.ServiceRecord) {
	member := plan.ReleaseMember{
		Component: "web", Container: "shop-web", Node: "rift", Deployment: 7,
		Image: "r.example/web:v1", Digest: "sha256:web1", Spec: "spec", Active: true,
	}
	away := member
	away.Component, away.Container, away.Node = "db", "shop-db", "orion"
	return plan.Observation{
			Node: "rift", At: noon,
			Status: &plan.NodeStatus{Disk: plan.Usage{Total: 100, Used: 10}, Memory: plan.Usage{Total: 100, Used: 10}},
			Containers: []plan.ObservedContainer{
				{Container: plan.Container{Name: "other", Running: true}, ID: "1", State: "running"},
				{
					Container: plan.Container{Name: "shop-web", Service: "shop", Component: "web", Deployment: 7, Spec: "spec", Running: true},
					ID:        "2", Image: "r.example/web@sha256:web1", Digest: "sha256:local", State: "running",
				},
			},
		}, []plan.ServiceRecord{{Release: plan.Release{
			Service: "shop", Number: 7, Active: true,
			Components: map[string]plan.ReleaseMember{"web": member, "db": away},
		}}}
}

// told renders drift as "kind subject".
func told(found []plan.Drift) string {
	var list []string
	for _, d := range found {
		list = append(list, strings.TrimSpace(string(d.Kind)+" "+d.Container))
	}
	return strings.Join(list, ", ")
}

func TestFindDrift(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(o *plan.Observation, web *plan.ObservedContainer, member *plan.ReleaseMember)
		want   string
	}{
		{"all is as it should be", func(*plan.Observation, *plan.ObservedContainer, *plan.ReleaseMember) {}, ""},
		{"the container is gone", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			o.Containers = o.Containers[:1]
		}, "missing shop-web"},
		{"it has another name", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Name = "mine"
		}, "renamed shop-web"},
		{"a deploy that was terminated has set it aside", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Name, c.Running, c.State = "shop-web.prev", false, "stopped"
		}, "renamed shop-web, stopped shop-web"},
		{"it does not run", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Running, c.State, c.ExitCode = false, "stopped", 137
		}, "stopped shop-web"},
		{"it runs by the digest that the engine knows", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Image, c.Digest = "r.example/web:latest", "sha256:web1"
		}, ""},
		{"somebody runs another image in its place", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			*c = plan.ObservedContainer{Container: plan.Container{Name: "shop-web", Running: true}, Image: "docker.io/nginx", Digest: "sha256:nginx"}
		}, "wrong-image shop-web"},
		{"somebody runs the same image in its place", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Container = plan.Container{Name: "shop-web", Running: true}
		}, "replaced shop-web"},
		{"another deployment made it", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Deployment = 6
		}, "replaced shop-web"},
		{"its specification is another", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Spec = "other"
		}, "replaced shop-web"},
		{"it is restarted again and again, and between two restarts", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Running, c.State, c.Restarted = false, "stopped", []time.Time{noon, noon, noon}
		}, "flapping shop-web"},
		{"it was restarted twice", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Restarted = []time.Time{noon, noon}
		}, ""},
		{"it is unhealthy", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Health = "unhealthy"
		}, "unhealthy shop-web"},
		{"its health is not known yet", func(_ *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			c.Health = "starting"
		}, ""},
		{"it was stopped on purpose, and runs", func(_ *plan.Observation, _ *plan.ObservedContainer, m *plan.ReleaseMember) {
			m.Active = false
		}, "running shop-web"},
		{"it was stopped on purpose", func(_ *plan.Observation, c *plan.ObservedContainer, m *plan.ReleaseMember) {
			m.Active, c.Running, c.State = false, false, "stopped"
		}, ""},
		{"it was stopped on purpose, and is gone", func(o *plan.Observation, _ *plan.ObservedContainer, m *plan.ReleaseMember) {
			m.Active, o.Containers = false, nil
		}, ""},
		{"a container of a component that lives elsewhere", func(o *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			stray := *c
			stray.Name, stray.Component = "shop-db", "db"
			o.Containers = append(o.Containers, stray)
		}, "orphan shop-db"},
		{"a container of a service that nobody knows", func(o *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			stray := *c
			stray.Name, stray.Service = "blog-web", "blog"
			o.Containers = append(o.Containers, stray)
		}, "orphan blog-web"},
		{"a second container beside the right one", func(o *plan.Observation, c *plan.ObservedContainer, _ *plan.ReleaseMember) {
			stray := *c
			stray.Name = "shop-web.next"
			o.Containers = append(o.Containers, stray)
		}, "orphan shop-web.next"},
		{"the disk is nearly full", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			o.Status.Disk.Used = 90
		}, "disk"},
		{"the disk is not so full", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			o.Status.Disk.Used = 89
		}, ""},
		{"the memory is nearly full", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			o.Status.Memory.Used = 95
		}, "memory"},
		{"the node does not answer: its worker may only be restarted", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			*o = plan.Observation{Node: "rift", At: noon, Problem: "no worker"}
		}, ""},
		{"the node does not answer again", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			*o = plan.Observation{Node: "rift", At: noon, Problem: "no worker", Unanswered: noon.Add(-time.Minute)}
		}, "unreachable"},
		{"the node answers again", func(o *plan.Observation, _ *plan.ObservedContainer, _ *plan.ReleaseMember) {
			o.Unanswered = noon.Add(-time.Minute)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, services := watched()
			member := services[0].Release.Components["web"]
			test.change(&o, &o.Containers[1], &member)
			services[0].Release.Components["web"] = member
			require.Equal(t, test.want, told(plan.FindDrift(o, services, nil, nil)))
		})
	}

	t.Run("of a service that is busy nothing is said", func(t *testing.T) {
		o, services := watched()
		o.Containers[1].Name = "shop-web.next"
		require.Empty(t, plan.FindDrift(o, services, map[string]bool{"shop": true}, nil))
	})

	t.Run("what is nearly full stays so until there is some room", func(t *testing.T) {
		o, services := watched()
		open := []plan.OpenDrift{{Drift: plan.Drift{Kind: plan.DriftDisk}}}
		for used, want := range map[uint64]string{89: "disk", 85: "disk", 84: ""} {
			o.Status.Disk.Used = used
			require.Equal(t, want, told(plan.FindDrift(o, services, nil, open)), used)
		}
	})
}

func TestEachFileSystemIsFullByItself(t *testing.T) {
	disk := func(path string, used uint64) plan.Disk {
		return plan.Disk{Path: path, Usage: plan.Usage{Total: 100 << 30, Used: used << 30}}
	}
	o := plan.Observation{Node: "rift", Status: &plan.NodeStatus{
		Storage: "/var/lib/containers", Disk: plan.Usage{Total: 100, Used: 95},
		Disks: []plan.Disk{disk("/srv/a", 91), disk("/srv/b", 87), disk("/srv/c", 87)},
	}}
	open := []plan.OpenDrift{{Drift: plan.Drift{Kind: plan.DriftDisk, Path: "/srv/b"}}}
	require.Equal(t, []plan.Drift{
		{Kind: plan.DriftDisk, Detail: "/var/lib/containers: 95 % of 0.0 GiB is in use"},
		{Kind: plan.DriftDisk, Path: "/srv/a", Detail: "/srv/a: 91 % of 100.0 GiB is in use"},
		{Kind: plan.DriftDisk, Path: "/srv/b", Detail: "/srv/b: 87 % of 100.0 GiB is in use"},
	}, plan.FindDrift(o, nil, nil, open))
	events, still := plan.Events(o, plan.FindDrift(o, nil, nil, open), nil, open)
	require.Len(t, events, 2, "one that was full is no news")
	require.Len(t, still, 3)
}

func TestEvents(t *testing.T) {
	drift := func(kind plan.DriftKind, service string) plan.Drift {
		return plan.Drift{Kind: kind, Service: service, Container: service, Detail: "as first seen"}
	}
	stopped, missing, away := drift(plan.DriftStopped, "shop"), drift(plan.DriftMissing, "blog"), drift(plan.DriftUnreachable, "")
	again := stopped
	again.Detail = "as seen again"
	since := noon.Add(-time.Hour)
	open := func(list ...plan.Drift) (found []plan.OpenDrift) {
		for _, d := range list {
			found = append(found, plan.OpenDrift{Drift: d, Since: since})
		}
		return found
	}
	began := func(d plan.Drift) plan.Event { return plan.Event{At: noon, Node: "rift", Drift: d, Since: noon} }
	ended := func(d plan.Drift) plan.Event {
		return plan.Event{At: noon, Node: "rift", Drift: d, Ended: true, Since: since}
	}
	back := away
	back.Kind = plan.DriftBack
	gone := began(away)
	gone.Since = noon.Add(-time.Minute)
	for _, test := range []struct {
		name        string
		open        []plan.OpenDrift
		problem     string
		found       []plan.Drift
		busy        string
		want        []plan.Event
		wantedStill []plan.Drift
	}{
		{"nothing, and again", nil, "", nil, "", nil, nil},
		{"one begins", nil, "", []plan.Drift{stopped}, "", []plan.Event{began(stopped)}, []plan.Drift{stopped}},
		{"it goes on", open(stopped), "", []plan.Drift{again}, "", nil, []plan.Drift{stopped}},
		{"it ends", open(stopped), "", nil, "", []plan.Event{ended(stopped)}, nil},
		{"one ends as another begins", open(stopped), "", []plan.Drift{missing}, "", []plan.Event{ended(stopped), began(missing)}, []plan.Drift{missing}},
		{"it is left open while its service is busy", open(stopped, missing), "", nil, "shop", []plan.Event{ended(missing)}, []plan.Drift{stopped}},
		{"its node has left one look unanswered", open(stopped), "gone", nil, "", nil, []plan.Drift{stopped}},
		{"its node goes away: nobody knows", open(stopped), "gone", []plan.Drift{away}, "", []plan.Event{gone}, []plan.Drift{stopped, away}},
		{"its node stays away", open(stopped, away), "gone", []plan.Drift{away}, "", nil, []plan.Drift{stopped, away}},
		{"its node is back, and it as it was", open(stopped, away), "", []plan.Drift{stopped}, "", []plan.Event{ended(back)}, []plan.Drift{stopped}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := plan.Observation{Node: "rift", At: noon, Problem: test.problem, Unanswered: gone.Since}
			events, still := plan.Events(o, test.found, map[string]bool{test.busy: test.busy != ""}, test.open)
			require.Equal(t, test.want, events)
			var kept []plan.Drift
			for _, d := range still {
				kept = append(kept, d.Drift)
			}
			require.Equal(t, test.wantedStill, kept)
		})
	}
}

func TestRestarts(t *testing.T) {
	started := noon.Add(-time.Hour)
	before := plan.ObservedContainer{ID: "1", Restarts: 5, Started: started}
	now := before
	for _, test := range []struct {
		name   string
		change func(before, now *plan.ObservedContainer)
		want   []time.Time
	}{
		{"none", func(*plan.ObservedContainer, *plan.ObservedContainer) {}, nil},
		{"one by the engine", func(_, c *plan.ObservedContainer) { c.Restarts, c.Started = 6, noon }, []time.Time{noon}},
		{"one by hand", func(_, c *plan.ObservedContainer) { c.Started = noon }, []time.Time{noon}},
		{"many at once count as enough", func(_, c *plan.ObservedContainer) { c.Restarts = 500 }, []time.Time{noon, noon, noon}},
		{"its first start is none", func(b, _ *plan.ObservedContainer) { b.Started = time.Time{} }, nil},
		{"the engine counts anew", func(_, c *plan.ObservedContainer) { c.Restarts = 0 }, nil},
		{"those before are kept", func(b, c *plan.ObservedContainer) {
			b.Restarted, c.Restarts = []time.Time{noon.Add(-time.Minute)}, 6
		}, []time.Time{noon.Add(-time.Minute), noon}},
		{"those that are too old are not", func(b, _ *plan.ObservedContainer) {
			b.Restarted = []time.Time{noon.Add(-plan.FlapWindow), noon.Add(1 - plan.FlapWindow)}
		}, []time.Time{noon.Add(1 - plan.FlapWindow)}},
		{"and no more than are needed", func(b, c *plan.ObservedContainer) {
			b.Restarted, c.Restarts = []time.Time{noon.Add(-3), noon.Add(-2), noon.Add(-1)}, 6
		}, []time.Time{noon.Add(-2), noon.Add(-1), noon}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, now := before, now
			test.change(&before, &now)
			got := plan.Restarts(&before, now, noon)
			require.Len(t, got, len(test.want))
			for i := range test.want {
				require.Equal(t, test.want[i], got[i])
			}
		})
	}
	require.Empty(t, plan.Restarts(nil, now, noon), "nobody knows since when")
}
