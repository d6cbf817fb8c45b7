package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/reads"
)

// namesAtOnce is how many hostnames are looked up at once.
const namesAtOnce = 16

// nameFindings checks that each hostname of a route leads to the edges. Those
// below localhost lead to the host of the client by themselves.
func nameFindings(ctx context.Context, lookUp func(ctx context.Context, name string) ([]string, error), all reads.EdgesResult) []finding {
	var addresses []string
	for _, e := range all.Edges {
		if !e.Admitted.IsZero() {
			addresses = append(addresses, e.Addresses...)
		}
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	names := namesOf(all.Routes)
	if len(addresses) == 0 || len(names) == 0 {
		return nil
	}
	found := make([]finding, len(names))
	var g errgroup.Group
	g.SetLimit(namesAtOnce)
	for i, name := range names {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			has, err := lookUp(ctx, strings.Replace(name, "*", "mcp-doctor", 1))
			found[i] = nameFinding(name, has, err, addresses)
			return nil
		})
	}
	_ = g.Wait() // its functions return no error
	bad := slices.DeleteFunc(found, func(f finding) bool { return f.Status == statusOK })
	if good := len(names) - len(bad); good > 0 {
		verb := "lead"
		if good == 1 {
			verb = "leads"
		}
		return append([]finding{ok("dns", "%s %s to the edges", ui.Counted(good, "hostname"), verb)}, bad...)
	}
	return bad
}

// namesOf returns the hostnames of routes, each once, without those below
// localhost.
func namesOf(routes []reads.PublishedRoute) []string {
	var names []string
	for _, r := range routes {
		name := r.Endpoint.Hostname
		if name != "" && name != "localhost" && !strings.HasSuffix(name, ".localhost") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// nameFinding compares the addresses that a hostname has with those of the edges.
func nameFinding(name string, has []string, err error, edges []string) finding {
	check, want := "dns of "+name, strings.Join(edges, ", ")
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		f := fault.New(fault.NotFound, "%s has no address; the edges have %s", name, want)
		return fail(check, f.WithHint("give it an A or AAAA record with an address of an edge"))
	case err != nil:
		return warn(check, "does the resolver of this host answer? resolvectl query "+name, "%s was not looked up: %s", name, late(err).Message)
	}
	var others []string
	for _, address := range has {
		if !slices.ContainsFunc(edges, func(edge string) bool { return sameAddress(edge, address) }) {
			others = append(others, address)
		}
	}
	if len(others) == 0 {
		return ok(check, "%s", strings.Join(has, ", "))
	}
	return warn(check,
		fmt.Sprintf("correct its A and AAAA records; if clients reach the edges at %s, say so in [edge] addresses", strings.Join(others, ", ")),
		"%s leads to %s, and the edges have %s", name, strings.Join(others, ", "), want)
}

// sameAddress reports whether two texts are one IP address.
func sameAddress(a, b string) bool {
	first, second := net.ParseIP(a), net.ParseIP(b)
	return first != nil && second != nil && first.Equal(second)
}
