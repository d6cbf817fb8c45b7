package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/servicedef"
)

// part is a component on rift; a thing with a slash is a volume, and one without it a
// static port.
func part(name string, things ...string) servicedef.Component {
	c := servicedef.Component{Name: name, Node: "rift", Image: "r.example/api:v1", Order: servicedef.StartFirst}
	for _, thing := range things {
		c.Order = servicedef.StopFirst
		if strings.Contains(thing, "/") {
			c.Volumes = append(c.Volumes, thing)
		} else {
			c.Ports = append(c.Ports, thing)
		}
	}
	return c
}

func parts(components ...servicedef.Component) servicedef.Service {
	return servicedef.Service{Name: "shop", Node: "rift", Active: true, Components: components}
}

// change is the deploy of one definition after another.
func change(from, to servicedef.Service) plan.Input {
	r := released(from)
	return plan.Input{Desired: to, Release: r, Nodes: map[string]plan.Node{"rift": running(r, "rift"), "orion": running(r, "orion")}, Digests: digests()}
}

// moves renders what is stopped before each start, and what is taken from whom.
func moves(p plan.Plan) []string {
	var list []string
	for _, wave := range p.Starts() {
		for _, step := range wave {
			text := "start " + step.Component
			for i, s := range step.StopsFirst {
				text += []string{" after ", ", "}[min(i, 1)] + s.Component
			}
			for i, taking := range step.Takes {
				text += []string{" with ", ", "}[min(i, 1)] + taking.Thing + " of " + taking.From
			}
			list = append(list, text)
		}
	}
	return list
}

func TestWhatIsHandedOverIsStoppedFirst(t *testing.T) {
	shared := part("b", "data:/data")
	shared.Order = servicedef.StartFirst
	elsewhere := part("b", "data:/data")
	elsewhere.Node = "orion"
	needing := part("b", "80:80")
	needing.DependsOn = []string{"c"}
	tests := map[string]struct {
		from, to servicedef.Service
		want     []string
	}{
		"a component that is replaced": {
			parts(part("a", "80:80", "data:/data")), parts(part("a", "80:81", "data:/data")),
			[]string{"start a after a"},
		},
		"a component that is renamed": {
			parts(part("db", "18811:8000", "data:/data")), parts(part("database", "18811:8000", "data:/data")),
			[]string{"start database after db with tcp port 18811 of db, volume data of db"},
		},
		"a swap of ports": {
			parts(part("blue", "21:80"), part("green", "22:80")), parts(part("blue", "22:80"), part("green", "21:80")),
			[]string{"start blue after blue, green with tcp port 22 of green", "start green after green, blue with tcp port 21 of blue"},
		},
		"three that hand on their volumes in a circle": {
			parts(part("a", "x:/d"), part("b", "y:/d"), part("c", "z:/d")), parts(part("a", "y:/d"), part("b", "z:/d"), part("c", "x:/d")),
			[]string{
				"start a after a, b with volume y of b",
				"start b after b, c with volume z of c",
				"start c after c, a with volume x of a",
			},
		},
		"a port that goes to a new component": {
			parts(part("web", "31:80")), parts(part("web"), part("proxy", "31:80")),
			[]string{"start web", "start proxy after web with tcp port 31 of web"},
		},
		"a volume that goes to a sibling": {
			parts(part("a", "data:/data"), part("b")), parts(part("a"), part("b", "data:/data")),
			[]string{"start a", "start b after b, a with volume data of a"},
		},
		"a range and a protocol": {
			parts(part("a", "80-82:80-82", "53:53/udp")), parts(part("b", "81:81", "53:53")),
			[]string{"start b after a with tcp port 81 of a"},
		},
		"a directory within another": {
			parts(part("a", "/srv/shop:/data")), parts(part("b", "/srv/shop/db/:/data")),
			[]string{"start b after a with volume /srv/shop/db of a"},
		},
		"directories that only begin alike": {
			parts(part("a", "/srv/shop:/data")), parts(part("b", "/srv/shop2:/data")),
			[]string{"start b"},
		},
		"a giver that needs the taker, in a later wave": {
			parts(part("b", "80:80", "90:90"), part("c")), parts(needing, part("c", "90:90")),
			[]string{"start c after c, b with tcp port 90 of b", "start b after b"},
		},
		"a volume that both go on writing to is shared": {
			parts(part("a", "data:/data"), part("b")), parts(part("a", "data:/data"), part("b", "data:/data")),
			[]string{"start b after b"},
		},
		"a volume that both wrote to was shared": {
			parts(part("a", "data:/data"), part("b", "data:/data")), parts(part("b", "data:/other")),
			[]string{"start b after b"},
		},
		"a volume that is only read": {
			parts(part("a", "data:/data:ro")), parts(part("b", "data:/data:z,ro")),
			[]string{"start b"},
		},
		"a component that may run beside another one": {
			parts(part("a", "data:/data")), parts(shared),
			[]string{"start b"},
		},
		"another node has volumes of its own": {
			parts(part("a", "data:/data")), parts(elsewhere),
			[]string{"start b"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Make(change(test.from, test.to))
			require.NoError(t, err)
			require.Equal(t, test.want, moves(p))
		})
	}
	t.Run("a route's port that becomes a static one", func(t *testing.T) {
		in := change(parts(part("a")), parts(part("b", "20001:80")))
		a := in.Release.Components["a"]
		a.Routes = []fleet.Route{{Name: "http", HostPort: 20001}}
		in.Release.Components["a"] = a
		p, err := plan.Make(in)
		require.NoError(t, err)
		require.Equal(t, []string{"start b after a with tcp port 20001 of a"}, moves(p))
	})
	t.Run("a predecessor on a node that does not answer", func(t *testing.T) {
		in := change(parts(elsewhere), parts(part("b", "data:/data")))
		in.Nodes["orion"] = plan.Node{}
		p, err := plan.Make(in)
		require.NoError(t, err)
		require.Equal(t, []string{"start b"}, moves(p))
	})
	t.Run("an undo starts what should run", func(t *testing.T) {
		in := change(parts(part("db", "80:80")), parts(part("database", "80:80")))
		in.Nodes["rift"].Containers[0].Running = false // a deploy that was terminated had stopped it
		p, err := plan.Make(in)
		require.NoError(t, err)
		require.Equal(t, []plan.Stopped{{Ref: fleet.Ref{Name: "shop-db"}, Component: "db", Node: "rift", Active: true}}, p.Steps[0].StopsFirst)
	})
}

func TestAPortThatIsNotGivenUpIsRefused(t *testing.T) {
	holder := func(service, component string, port int) fleet.PortHolder {
		return fleet.PortHolder{
			HostPort: fleet.HostPort{Node: "rift", Protocol: "tcp", Port: port}, Service: service, Component: component, Committed: true,
		}
	}
	asked := holder("shop", "b", 90)
	asked.Committed = false
	tests := map[string]struct {
		from, to servicedef.Service
		only     []string
		held     fleet.PortHolder
		want     string // of the error
		partial  bool
	}{
		"it is another service's": {
			parts(part("a", "80:80")), parts(part("a", "90:80")), nil, holder("blog", "web", 90),
			"component a needs tcp port 90 on node rift, which blog/web has", false,
		},
		"it is another service's, which a kept component does not ask for again": {
			parts(part("a", "80:80")), parts(part("a", "80:80")), nil, holder("blog", "web", 80), "", false,
		},
		"it is the component's own": {
			parts(part("a", "80:80")), parts(part("a", "80:81")), nil, holder("shop", "a", 80), "", false,
		},
		"it is a component's that goes": {
			parts(part("a", "80:80")), parts(part("b", "80:80")), nil, holder("shop", "a", 80), "", false,
		},
		"it was asked for by a deploy that did not end": {
			parts(part("a", "80:80")), parts(part("a", "90:80")), nil, asked, "", false,
		},
		"it is a component's that a part of the definition leaves alone": {
			parts(part("a", "80:80")), parts(part("b", "80:80")), []string{"b"}, holder("shop", "a", 80),
			"component b needs tcp port 80 on node rift, which shop/a has", true,
		},
		"and so is a volume": {
			parts(part("a", "data:/data")), parts(part("b", "data:/data")), []string{"b"}, fleet.PortHolder{},
			"component b needs volume data on node rift, which shop/a has", true,
		},
		"a volume that the whole definition shares": {
			parts(part("a", "data:/data")), parts(part("a", "data:/data"), part("b", "data:/data")), []string{"b"}, fleet.PortHolder{}, "", false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := change(test.from, test.to)
			in.Held = []fleet.PortHolder{test.held}
			if in.Only = test.only; len(in.Only) > 0 {
				in.Given = &test.to
				in.Desired = plan.Merge(in.Release.Definition, test.to, in.Only)
			}
			_, err := plan.Make(in)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
			var held *plan.HeldError
			require.ErrorAs(t, err, &held)
			require.Equal(t, test.partial, held.Partial)
		})
	}
}

func TestTheDrainIsThatOfTheContainerThatGoes(t *testing.T) {
	const second = servicedef.Duration(time.Second)
	routed := func(drain servicedef.Duration, things ...string) servicedef.Component {
		c := part("a", things...)
		c.Drain, c.Routes = drain, []servicedef.Route{{Name: "http", Port: 80}}
		return c
	}
	tests := map[string]struct {
		to     servicedef.Service
		change func(in *plan.Input)
		want   servicedef.Duration
	}{
		"not of its successor":              {parts(routed(second)), func(*plan.Input) {}, 8 * second},
		"nor where the successor has none":  {parts(routed(0)), func(*plan.Input) {}, 8 * second},
		"none where it does not run":        {parts(routed(second)), func(in *plan.Input) { in.Nodes["rift"].Containers[0].Running = false }, 0},
		"none where it is stopped first":    {parts(routed(second, "80:80")), func(*plan.Input) {}, 0},
		"none where a sibling has its port": {parts(routed(second), part("b", "20001:80")), func(*plan.Input) {}, 0},
		"none where it has no route": {parts(routed(second)), func(in *plan.Input) {
			in.Release.Components["a"] = fleet.Member{Component: "a", Container: "shop-a", Node: "rift", Deployment: 3, Active: true}
		}, 0},
		"none where it is kept": {parts(routed(second)), func(in *plan.Input) { in.Force = false }, 0},
		"of the node that it leaves": {func() servicedef.Service {
			c := routed(second)
			c.Node = "orion"
			return parts(c)
		}(), func(*plan.Input) {}, 8 * second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := change(parts(routed(8*second)), test.to)
			a := in.Release.Components["a"]
			a.Routes = []fleet.Route{{Name: "http", HostPort: 20001}}
			in.Release.Components["a"] = a
			in.Force = true
			test.change(&in)
			p, err := plan.Make(in)
			require.NoError(t, err)
			require.Equal(t, time.Duration(test.want), p.Drain())
		})
	}
}
