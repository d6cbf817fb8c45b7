package servicedef

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
)

const (
	// longestPath is far beyond what applications use, and short enough for any client.
	longestPath = 1024
	// longestUser is the length of the longest name of a user of basic_auth, in bytes.
	longestUser = 255
	// A bcrypt hash of less than minCost is guessed too fast; one of more than maxCost
	// takes an edge longer than a second for each request.
	minCost, maxCost = 10, 14
)

var (
	// pathCharacters are the characters that a path has without percent-encoding, in
	// RFC 3986.
	pathCharacters = pattern(`^[A-Za-z0-9._~!$&'()*+,;=:@/-]*$`)
	bcryptHash     = pattern(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)
)

// edgeRoute checks what edges need of a route.
func (r *report) edgeRoute(key string, route Route) {
	at := func(name string) string { return joinKey(key, name) }
	r.hostnames(at("hostname"), route.Hostname)
	if route.Protocol != "" && route.Protocol != udp {
		r.add(at("protocol"), `must be "tcp" or "udp", not %q`, route.Protocol)
	}
	if slices.Contains([]string{modeL4, modeL7}, route.Mode) { // else the mode is the problem
		r.applies(key, route)
	}
	r.redirects(key, route)
	if route.Path != "" {
		r.routePath(at("path"), route.Path)
	}
	r.users(at("basic_auth"), route.BasicAuth)
	r.networks(at("allow"), route.Allow)
	if p := route.ProxyProtocol; p != "" && p != "v1" && p != "v2" {
		r.add(at("proxy_protocol"), `must be "v1" or "v2", not %q`, p)
	}
}

// applies checks that a route has only keys that mean something for its mode, protocol
// and port. It reports one problem for each key.
func (r *report) applies(key string, route Route) {
	set := route.edgeKeys()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		switch {
		case !set[name]:
		case slices.Contains(keysOfL7, name) && route.Mode == modeL4:
			r.add(joinKey(key, name), `is for mode = "l7"; the bytes of an l4 route are not read`)
		case name == "proxy_protocol" && route.Mode == modeL7:
			r.add(joinKey(key, name), `is for mode = "l4"; an l7 route gets the client's address in X-Forwarded-For`)
		case name == "proxy_protocol" && route.Protocol == udp:
			r.add(joinKey(key, name), `is for connections of tcp`)
		case !route.AtEdges():
			r.add(joinKey(key, name), "is for a route that edges serve: one with a hostname, or with edge = true")
		}
	}
	r.appliesToPort(key, route)
	if route.Protocol != udp {
		return
	}
	switch {
	case route.Mode == modeL7:
		r.add(joinKey(key, "protocol"), `"udp" is for mode = "l4"; edges speak HTTP/3 without it`)
	case len(route.Hostname) > 0:
		r.add(joinKey(key, "hostname"), "is not for udp, whose packets name no host: leave it out, and set edge = true")
	}
}

// appliesToPort checks tls and strip, which depend on other keys.
func (r *report) appliesToPort(key string, route Route) {
	if route.Mode != modeL7 || !route.AtEdges() {
		return
	}
	if route.TLS != nil && *route.TLS != (route.Port != plainPort) && (route.Port == plainPort || route.Port == securePort) {
		r.add(joinKey(key, "tls"), "must be %t with port %d, or left out", route.Port != plainPort, route.Port)
	}
	if route.Strip && strings.Trim(route.Path, "/") == "" {
		r.add(joinKey(key, "strip"), "needs a path to remove")
	}
}

// keysOfL7 are the keys that an l4 route cannot have.
var keysOfL7 = []string{"basic_auth", "compress", "h2c", "path", "redirect_from", "strip", "tls"}

// edgeKeys maps each key that only edges need, except the hostname, to whether the
// route has it.
func (r Route) edgeKeys() map[string]bool {
	return map[string]bool{
		"allow": len(r.Allow) > 0, "basic_auth": len(r.BasicAuth) > 0, "compress": r.Compress, "h2c": r.H2C,
		"path": r.Path != "", "proxy_protocol": r.ProxyProtocol != "", "redirect_from": len(r.RedirectFrom) > 0,
		"strip": r.Strip, "tls": r.TLS != nil,
	}
}

// redirects checks the hostnames that redirect to the first one of the route.
func (r *report) redirects(key string, route Route) {
	from := joinKey(key, "redirect_from")
	for i, name := range route.RedirectFrom {
		if problem := names.HostnameProblem(name); problem != "" {
			r.add(elementKey(from, i), "%s", problem)
		}
	}
	r.unique(route.RedirectFrom, func(i int) string { return elementKey(from, i) })
	if len(route.RedirectFrom) == 0 || route.Mode == modeL4 {
		return
	}
	switch first := route.Hostname.First(); {
	case first == "":
		r.add(from, "needs a hostname to redirect to")
	case wildcard(first):
		r.add(from, "redirects to the first hostname, which must not be the wildcard %q", first)
	}
}

// routePath checks the path of a route.
func (r *report) routePath(key, path string) {
	switch {
	case path[0] != '/':
		r.add(key, "must begin with /, unlike %q", path)
	case strings.ContainsAny(path, "?#"):
		r.add(key, "must be a path alone, without query and fragment, unlike %q", path)
	case strings.Contains(path, "%"):
		r.add(key, "must be written without percent-encoding, unlike %q", path)
	case strings.Contains(path, "//"):
		r.add(key, "must not have an empty segment, unlike %q", path)
	case path != "/" && strings.HasSuffix(path, "/"):
		r.add(key, "must not end with /: %q serves what is below it too", strings.TrimSuffix(path, "/"))
	case slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }):
		r.add(key, `must not have a segment "." or "..", unlike %q`, path)
	case !pathCharacters().MatchString(path):
		r.add(key, "must have only characters that a path has without percent-encoding, unlike %q", path)
	case len(path) > longestPath:
		r.add(key, "must have at most %d characters; it has %d", longestPath, len(path))
	}
}

// users checks the users of basic_auth. No problem shows a value: it may be a password.
func (r *report) users(key string, users map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(users)) {
		at := joinKey(key, name)
		if name == "" || len(name) > longestUser || strings.ContainsFunc(name, func(c rune) bool { return c == ':' || c < ' ' || c == 0x7f }) {
			r.add(at, "must be the name of a user: 1 to %d bytes without colons and control characters", longestUser)
			continue
		}
		hash := bcryptHash().FindStringSubmatch(users[name])
		if hash == nil {
			r.add(at, "must be the bcrypt hash of a password, which htpasswd -nBC 10 NAME makes")
			continue
		}
		if cost, _ := strconv.Atoi(hash[1]); cost < minCost || cost > maxCost {
			r.add(at, "is a bcrypt hash of cost %d; it must be from %d to %d, as htpasswd -nBC 10 NAME makes it", cost, minCost, maxCost)
		}
	}
}

// networks checks the networks of allow.
func (r *report) networks(key string, networks []string) {
	for i, text := range networks {
		at := elementKey(key, i)
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			r.add(at, `must be a network such as "10.0.0.0/8" or "2001:db8::1/128", not %q`, text)
		case network.Addr().Is4In6():
			r.add(at, "must be written as a network of IPv4, unlike %q", text)
		case network.Masked() != network:
			r.add(at, "%q has bits beyond its prefix; the network is %q", text, network.Masked())
		}
	}
	r.unique(networks, func(i int) string { return elementKey(key, i) })
}

// claim is a place that a route of the service has.
type claim struct {
	Place
	component int
	key       string // of the route
	route     Route
}

// claims checks that no component has a place twice, and that components which share
// one serve it alike.
func (r *report) claims(s *Service) {
	type name struct {
		hostname string
		port     int
	}
	held := map[name][]claim{}
	for i, c := range s.Components {
		for j, route := range c.Routes {
			key := elementKey(componentKey(i, "routes"), j)
			for _, at := range route.Places() {
				mine, name := claim{at, i, key, route}, name{at.Hostname, at.Port}
				r.claim(mine, held[name])
				held[name] = append(held[name], mine)
			}
		}
	}
}

// claim compares a claim with those before it: with one of its own component, or else
// with the first.
func (r *report) claim(mine claim, others []claim) {
	i := slices.IndexFunc(others, func(c claim) bool { return c.component == mine.component && mine.Collides(c.Place) })
	if i < 0 {
		i = slices.IndexFunc(others, func(c claim) bool { return mine.Collides(c.Place) })
	}
	if i < 0 {
		return
	}
	other := others[i]
	switch difference := mine.difference(other); {
	case other.key == mine.key:
		if mine.RedirectTo != "" && other.RedirectTo == "" { // else two of a kind are equal
			r.add(joinKey(mine.key, "redirect_from"), "%q is a hostname of the route itself", mine.Hostname)
		}
	case other.component == mine.component, mine.Protocol != other.Protocol:
		r.add(mine.key, "%s is taken by %s", mine.Place, other.key)
	case difference != "":
		r.add(mine.key, "serves %s, as %s does, and differs in %s: components that share an endpoint serve it alike",
			mine.Place, other.key, difference)
	}
}

// difference returns the key in which two claims of a place differ, "" if they serve it
// alike.
func (c claim) difference(other claim) string {
	mine, its := c.route, other.route
	for _, d := range []struct {
		key      string
		mine, of any
	}{
		{"redirect_from", c.RedirectTo, other.RedirectTo},
		{"tls", mine.Plain(), its.Plain()},
		{"strip", mine.Strip, its.Strip},
		{"h2c", mine.H2C, its.H2C},
		{"compress", mine.Compress, its.Compress},
		{"basic_auth", mine.BasicAuth, its.BasicAuth},
		{"allow", mine.Allow, its.Allow},
		{"proxy_protocol", mine.ProxyProtocol, its.ProxyProtocol},
	} {
		if !reflect.DeepEqual(d.mine, d.of) {
			return d.key
		}
	}
	return ""
}
