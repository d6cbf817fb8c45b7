package servicedef_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestContainerNames(t *testing.T) {
	for _, test := range []struct{ service, component, name string }{
		{"mc-proxy", "mc-proxy", "mc-proxy"},
		{"shop", "api", "shop-api"},
		{"shop", "shop", "shop"},
		{"a", "b-c", "a-b-c"},
	} {
		require.Equal(t, test.name, servicedef.ContainerNameFor(test.service, test.component))
	}
}

func TestSplitContainerName(t *testing.T) {
	for _, test := range []struct {
		name, container    string
		services           []string
		service, component string
	}{
		{"a known service alone", "mc-proxy", []string{"mc-proxy"}, "mc-proxy", "mc-proxy"},
		{"a component of a known service", "mc-proxy-web", []string{"mc", "mc-proxy"}, "mc-proxy", "web"},
		{"the longest known service wins", "a-b-c", []string{"a", "a-b"}, "a-b", "c"},
		{"a known service wins over a component", "a-b", []string{"a", "a-b"}, "a-b", "a-b"},
		{"an unknown one is split at the first dash", "mc-proxy-web", nil, "mc", "proxy-web"},
		{"a prefix that is not a whole word", "shopping-api", []string{"shop"}, "shopping", "api"},
		{"a name without a dash", "postgres", []string{"shop"}, "postgres", "postgres"},
		{"a name that no component could have", "a-a", []string{"a"}, "a-a", "a-a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			service, component := servicedef.SplitContainerName(test.container, test.services)
			require.Equal(t, test.service, service)
			require.Equal(t, test.component, component)
		})
	}
	t.Run("the services are left in their order", func(t *testing.T) {
		services := []string{"a", "abc"}
		servicedef.SplitContainerName("abc-d", services)
		require.Equal(t, []string{"a", "abc"}, services)
	})
}

func FuzzContainerName(f *testing.F) {
	f.Add("shop", "api", "mc-proxy", "mc")
	f.Add("a", "b-c", "a-b", "x")
	f.Add("a", "a", "a-a", "")
	f.Fuzz(func(t *testing.T, service, component, other, another string) {
		known := []string{other, service, another}
		name := servicedef.ContainerNameFor(service, component)
		gotService, gotComponent := servicedef.SplitContainerName(name, known)
		require.Equal(t, name, servicedef.ContainerNameFor(gotService, gotComponent), "join undoes split")

		// Splitting is ambiguous only if a longer service name fits too, or if the
		// name is that of a service's own container.
		rival := slices.ContainsFunc(known, func(s string) bool {
			return s == name || len(s) > len(service) && strings.HasPrefix(name, s+"-")
		})
		if service == component || !rival {
			require.Equal(t, []string{service, component}, []string{gotService, gotComponent}, "split undoes join")
		}
	})
}

func TestPortEnv(t *testing.T) {
	require.Equal(t, "PORT_REST", servicedef.PortEnv("rest"))
	require.Equal(t, "PORT_ADMIN_V2", servicedef.PortEnv("admin-v2"))
}

func TestImageName(t *testing.T) {
	for image, name := range map[string]string{
		"registry.example:5000/shop-api:v1.4.0":                 "shop-api",
		"registry.example/team/shop-api":                        "shop-api",
		"localhost:5000/x@sha256:" + strings.Repeat("0", 64):    "x",
		"localhost:5000/x:v1@sha256:" + strings.Repeat("0", 64): "x",
		"docker.io/library/postgres:17":                         "postgres",
		"registry.example:5000/shop-api:{git}":                  "shop-api",
	} {
		require.Equal(t, name, servicedef.ImageName(image))
	}
}

func TestImageBuild(t *testing.T) {
	s := parse(t, base)
	build, ok := s.ImageBuild("registry.example:5000/shop-api:v2")
	require.True(t, ok)
	require.Equal(t, servicedef.ImageBuild{Containerfile: "Containerfile"}, build)
	_, ok = s.ImageBuild("docker.io/library/postgres:17")
	require.False(t, ok)
}

func TestByDigest(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	require.Equal(t, "registry.example:5000/x@"+digest, servicedef.ByDigest("registry.example:5000/x:v1", digest))
	require.Equal(t, "a.b/x:v1", servicedef.ByDigest("a.b/x:v1", ""))
	require.Equal(t, "no reference", servicedef.ByDigest("no reference", digest))
}

func TestMemoryBytes(t *testing.T) {
	require.EqualValues(t, 256<<20, servicedef.Component{Memory: "256m"}.MemoryBytes())
	require.EqualValues(t, 3<<29, servicedef.Component{Memory: "1.5GiB"}.MemoryBytes())
	require.Zero(t, servicedef.Component{}.MemoryBytes())
}

func TestParsePorts(t *testing.T) {
	ports, err := servicedef.ParsePorts([]string{"127.0.0.1:8080:80", "53:53/udp", "[::1]:9000-9001:90-91/tcp"})
	require.NoError(t, err)
	want := []servicedef.Port{
		{IP: "127.0.0.1", Host: 8080, Container: 80, Protocol: "tcp"},
		{Host: 53, Container: 53, Protocol: "udp"},
		{IP: "::1", Host: 9000, Container: 90, Protocol: "tcp"},
		{IP: "::1", Host: 9001, Container: 91, Protocol: "tcp"},
	}
	require.Equal(t, want, ports)
	require.Equal(t, want[:1], servicedef.Component{Ports: []string{"127.0.0.1:8080:80"}}.StaticPorts())

	_, err = servicedef.ParsePorts([]string{"x", "80:80", "1:2:3:4"})
	require.ErrorContains(t, err, `parse port "x"`)
	require.ErrorContains(t, err, `parse port "1:2:3:4"`, "every error is reported")
	_, err = servicedef.ParsePorts([]string{"1-9000:1-9000", "10001-19000:10001-19000"})
	require.ErrorContains(t, err, "more than 10000 ports in total")
}

func TestStartOrder(t *testing.T) {
	service := func(components ...servicedef.Component) servicedef.Service {
		return servicedef.Service{Components: components}
	}
	c := func(name string, dependsOn ...string) servicedef.Component {
		return servicedef.Component{Name: name, DependsOn: dependsOn}
	}
	require.Equal(t, [][]string{{"db", "cache"}, {"api"}, {"web", "jobs"}},
		service(c("web", "api"), c("api", "db", "cache"), c("db"), c("cache"), c("jobs", "api", "db")).StartOrder())
	require.Equal(t, [][]string{{"b", "a"}}, service(c("b"), c("a", "gone")).StartOrder(),
		"a missing dependency counts as met")
	require.Equal(t, [][]string{{"c"}, {"a", "b"}}, service(c("a", "b"), c("b", "a"), c("c")).StartOrder(),
		"a cycle is the last wave")
	require.Empty(t, service().StartOrder())
}

func TestHash(t *testing.T) {
	s := *parse(t, base)
	moved, changed := s, s
	moved.File = "elsewhere.toml"
	changed.Active = false
	require.Regexp(t, "^[0-9a-f]{64}$", s.Hash())
	require.Equal(t, s.Hash(), moved.Hash())
	require.NotEqual(t, s.Hash(), changed.Hash())
}

func TestComponent(t *testing.T) {
	s := parse(t, base)
	c, ok := s.Component("db")
	require.True(t, ok)
	require.Equal(t, s.Components[1], c)
	_, ok = s.Component("web")
	require.False(t, ok)
}

func TestAPortIsWrittenAsItIsRead(t *testing.T) {
	for text, same := range map[string]string{
		"80:8080":             "0.0.0.0:80:8080",
		"127.0.0.1:80:8080":   "127.0.0.1:80:8080/tcp",
		"[::1]:53:53/udp":     "[::1]:53:53/udp",
		"10.0.0.7:53:53/udp":  "10.0.0.7:53:53/udp",
		"0.0.0.0:53:5353/udp": "53:5353/udp",
	} {
		ports, err := servicedef.ParsePorts([]string{text, same, "127.0.0.2:80:8080"})
		require.NoError(t, err)
		require.Equal(t, text, ports[0].String())
		require.True(t, ports[0].Same(ports[1]), text)
		require.False(t, ports[0].Same(ports[2]), text)
	}
}
