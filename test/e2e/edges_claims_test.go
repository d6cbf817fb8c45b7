package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// TestAHostnameHasOneService has two services, the second of which wants the hostname of
// the first, and gets it when the first gives it up.
func TestAHostnameHasOneService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleetOfItsOwn()
	e := w.edge(w.node + "-a")
	shop, blog := w.node+"-shop", w.node+"-blog"
	at := func(service, hostname string) {
		version := "v-" + strings.TrimPrefix(service, w.node+"-")
		w.define(service, w.service(service, version, "")+fmt.Sprintf("hostname = %q\n", hostname+".example"))
	}
	main, other := w.node+"-main", w.node+"-other"
	for service, hostname := range map[string]string{shop: main, blog: other} {
		w.source("v-"+strings.TrimPrefix(service, w.node+"-"), "")
		at(service, hostname)
		w.deploy(service)
	}
	require.Equal(t, "v-shop", w.through(e, main))

	at(blog, main)
	taken := main + ".example:443"
	r := w.mcp("service", "check")
	require.Equal(t, 2, r.code, r)
	require.Contains(t, r.stdout, taken+" is claimed by service ")
	r = w.mcp("plan", blog)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, taken+" is held by service "+shop)
	require.Contains(t, r.stderr, "deploy "+shop+" without it first")
	r = w.mcp("deploy", blog)
	require.Equal(t, 1, r.code, r)
	require.Contains(t, r.stderr, taken+", which "+blog+" asks for, is held by service "+shop)
	require.Equal(t, "v-blog", w.through(e, other))

	// A change of the hostname alone needs no new container.
	fresh := w.node + "-fresh"
	at(shop, fresh)
	r = w.mcp("plan", shop)
	require.Zero(t, r.code, r)
	require.Regexp(t, `(?m)^  - https://`+main+`\.example:8443 +app$`, r.stdout)
	require.Regexp(t, `(?m)^  \+ https://`+fresh+`\.example:8443 +app$`, r.stdout)
	require.Contains(t, r.stdout, "the definition changes, and no container for it")
	before := w.containers(shop)

	// In one command, the one that gives it up goes first.
	outcomes, _ := w.deployMany(0, blog, shop)
	require.Equal(t, map[string]workflows.Outcome{blog: workflows.Succeeded, shop: workflows.Succeeded}, outcomes)
	require.Equal(t, "v-blog", w.through(e, main))
	require.Equal(t, "v-shop", w.through(e, fresh))
	require.Equal(t, before, w.containers(shop))

	at(shop, main)
	at(blog, fresh)
	r = w.mcp("deploy", shop, blog)
	require.Equal(t, 2, r.code, r)
	require.Contains(t, r.stderr, "no service can be deployed first: ")
	require.Equal(t, "v-blog", w.through(e, main))
}

func TestARouteOfUDPIsPublishedAsSuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source("v1", "")
	w.define("datagrams", w.service("datagrams", "v1", `env = { PORT = "8080" }`)+`container_port = 8080

[[components.routes]]
name = "log"
port = 514
protocol = "udp"
container_port = 5514
`)
	w.deploy("datagrams")
	routes := w.status("datagrams").Components[0].Routes
	require.Len(t, routes, 2)
	require.Equal(t, "", routes[0].Protocol)
	require.Equal(t, "log", routes[1].Name)
	require.Equal(t, "udp", routes[1].Protocol)
	found, err := podman.New(shared.platform.Info().Podman).List(t.Context(), map[string]string{runtime.LabelService: "datagrams"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Ports, servicedef.Port{
		IP: shared.platform.Info().Publish, Host: routes[1].HostPort, Container: 5514, Protocol: "udp",
	})
	require.Equal(t, workflows.Unchanged, w.deploy("datagrams").Outcome)
}
