package servicedef_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// hash is a bcrypt hash.
const hash = "$2y$10$abcdefghijklmnopqrstuuGGgFFcYeueaAql8Z7U7CnCTRw4DR77W"

// l7 are the keys of a route that edges serve.
const l7 = "mode = \"l7\"\nhostname = \"shop.example\"\n"

func TestHostnames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, name := range []string{
		"shop.example", "localhost", "a-b.c1.example", "1.example", "*.shop.example", "*.example", "xn--mller-kva.example",
		long + "." + long + "." + long + "." + strings.Repeat("a", 61),
	} {
		route := parse(t, edit(t, "# route", `hostname = "`+name+`"`)).Components[0].Routes[0]
		require.Equal(t, servicedef.Hostnames{name}, route.Hostname)
	}
	for name, message := range map[string]string{
		"shop..example":        "must be a DNS name",
		".shop.example":        "must be a DNS name",
		"-shop.example":        "must be a DNS name",
		"my_shop.example":      "must be a DNS name",
		long + "a.example":     "must be a DNS name",
		"Shop.Example":         `must be in lower case: "shop.example"`,
		"shop.example.":        "must not end with a dot",
		"müller.example":       "punycode",
		"*":                    `"*.shop.example"`,
		"*.":                   "must not end with a dot",
		"*.*.example":          "first label",
		"shop.*.example":       "first label",
		"*shop.example":        "first label",
		"10.0.0.1":             "not the address",
		"0x7f.1":               "not the address",
		"shop.127":             "not the address",
		"2001:db8::1":          "not the address",
		"[2001:db8::1]":        "not the address",
		"[2001:db8::1]:443":    "not the address",
		"10.0.0.1:443":         "not the address",
		"shop.example:443":     "without a port",
		"https://shop.example": "without scheme",
		"shop.example/api":     "without scheme, path",
		"shop example":         "spaces",
		"ann@shop.example":     "alone",
		long + "." + long + "." + long + "." + strings.Repeat("a", 62): "at most 253 characters; it has 254",
	} {
		t.Run(name, func(t *testing.T) {
			for _, edge := range []struct{ text, key string }{
				{`hostname = "` + name + `"`, "hostname"},
				{`hostname = ["a.example", "` + name + `"]`, "hostname[1]"},
				{"mode = \"l7\"\nhostname = \"a.example\"\nredirect_from = [\"" + name + `"]`, "redirect_from[0]"},
			} {
				text := edit(t, "# route", edge.text)
				found := problems(t, text)
				require.Len(t, found, 1)
				require.Equal(t, "components[0].routes[0]."+edge.key, found[0].Key)
				require.Equal(t, lineOf(t, text, name+`"`), found[0].Line)
				require.Contains(t, found[0].Message, message)
			}
		})
	}
}

func TestKeysOfARouteAtEdges(t *testing.T) {
	text := edit(t, "# route", `mode = "l7"
hostname = ["shop.example", "*.shop.example"]
redirect_from = ["www.shop.example"]
path = "/a/b~c"
strip = true
tls = false
h2c = true
compress = true
basic_auth = { ann = "`+hash+`", "bob b" = "`+strings.Replace(hash, "$10$", "$14$", 1)+`" }
allow = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]

[[components.routes]]
name = "sql"
port = 5432
edge = true
protocol = "tcp"
proxy_protocol = "v1"
allow = ["10.0.0.0/8"]

[[components.routes]]
name = "log"
port = 514
protocol = "udp"`)
	routes := parse(t, text).Components[0].Routes
	no := false
	require.Equal(t, servicedef.Route{
		Name: "rest", Port: 8443, Mode: "l7", Hostname: servicedef.Hostnames{"shop.example", "*.shop.example"},
		RedirectFrom: []string{"www.shop.example"}, Path: "/a/b~c", Strip: true, TLS: &no, H2C: true, Compress: true,
		BasicAuth: map[string]string{"ann": hash, "bob b": strings.Replace(hash, "$10$", "$14$", 1)},
		Allow:     []string{"10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"},
	}, routes[0])
	require.Equal(t, servicedef.Route{
		Name: "sql", Port: 5432, Mode: "l4", Edge: true, ProxyProtocol: "v1", Allow: []string{"10.0.0.0/8"},
	}, routes[1])
	require.Equal(t, servicedef.Route{Name: "log", Port: 514, Mode: "l4", Protocol: "udp"}, routes[2])
	require.True(t, routes[0].AtEdges())
	require.True(t, routes[1].AtEdges())
	require.False(t, routes[2].AtEdges())
}

func TestTLSIsOnUnlessThePortIs80(t *testing.T) {
	for text, plain := range map[string]bool{
		l7:                   false,
		l7 + "tls = true":    false,
		l7 + "tls = false":   true,
		"hostname = \"a.b\"": false,
	} {
		require.Equal(t, plain, parse(t, edit(t, "# route", text)).Components[0].Routes[0].Plain(), text)
	}
	for _, text := range []string{"", "tls = false\n"} {
		require.True(t, parse(t, edit(t, "port = 8443", "port = 80\n"+l7+text)).Components[0].Routes[0].Plain())
	}
}

func TestEachRuleOfEdgesNamesLineAndKey(t *testing.T) {
	long := strings.Repeat("a", 1024)
	rules := []rule{
		{"a hostname that is a number", "# route", "hostname = 5", "hostname", "must be a string or an array of strings, not an integer"},
		{"a number among hostnames", "# route", `hostname = ["a.example", 5]`, "hostname[1]", "must be a string"},
		{"a NUL in a hostname", "# route", `hostname = "a\u0000"`, "hostname", "NUL"},
		{"a hostname twice", "# route", `hostname = ["a.example", "a.example"]`, "hostname[1]", "is taken by components[0].routes[0].hostname[0]"},
		{"an empty hostname in an array", "# route", `hostname = [""]`, "hostname[0]", "must not be empty"},
		{"a redirect twice", "# route", l7 + `redirect_from = ["a.example", "a.example"]`, "redirect_from[1]", "is taken by components[0].routes[0].redirect_from[0]"},
		{"a redirect from the route itself", "# route", l7 + `redirect_from = ["shop.example"]`, "redirect_from", `"shop.example" is a hostname of the route itself`},
		{"a redirect to nothing", "# route", "mode = \"l7\"\nedge = true\nredirect_from = [\"a.example\"]", "redirect_from", "needs a hostname to redirect to"},
		{"a redirect to a wildcard", "# route", "mode = \"l7\"\nhostname = \"*.b.example\"\nredirect_from = [\"a.example\"]", "redirect_from", "wildcard"},

		{"a path without a slash", "# route", l7 + `path = "api"`, "path", "must begin with /"},
		{"a path with a slash at its end", "# route", l7 + `path = "/api/"`, "path", `must not end with /: "/api"`},
		{"a path with an empty segment", "# route", l7 + `path = "/a//b"`, "path", "empty segment"},
		{"a path that goes up", "# route", l7 + `path = "/a/../b"`, "path", `segment "." or ".."`},
		{"a path of a dot", "# route", l7 + `path = "/."`, "path", `segment "." or ".."`},
		{"a path with an escape", "# route", l7 + `path = "/a%2fb"`, "path", "percent-encoding"},
		{"a path with a query", "# route", l7 + `path = "/a?b"`, "path", "query"},
		{"a path with a fragment", "# route", l7 + `path = "/a#b"`, "path", "fragment"},
		{"a path with a space", "# route", l7 + `path = "/a b"`, "path", "only characters"},
		{"a path with a backslash", "# route", l7 + `path = "/a\\b"`, "path", "only characters"},
		{"a path that is not ASCII", "# route", l7 + `path = "/é"`, "path", "only characters"},
		{"a path that is too long", "# route", l7 + `path = "/` + long + `"`, "path", "at most 1024 characters; it has 1025"},
		{"strip without a path", "# route", l7 + "strip = true", "strip", "needs a path"},
		{"strip of every path", "# route", l7 + "path = \"/\"\nstrip = true", "strip", "needs a path"},

		{"a path with l4", "# route", `path = "/api"`, "path", `is for mode = "l7"`},
		{"strip with l4", "# route", `strip = true`, "strip", `is for mode = "l7"`},
		{"tls with l4", "# route", `tls = false`, "tls", `is for mode = "l7"`},
		{"tls with l4, as it is", "# route", `tls = true`, "tls", `is for mode = "l7"`},
		{"h2c with l4", "# route", `h2c = true`, "h2c", `is for mode = "l7"`},
		{"compress with l4", "# route", `compress = true`, "compress", `is for mode = "l7"`},
		{"basic_auth with l4", "# route", `basic_auth = { ann = "` + hash + `" }`, "basic_auth", `is for mode = "l7"`},
		{"redirect_from with l4", "# route", "hostname = \"a.example\"\nredirect_from = [\"b.example\"]", "redirect_from", `is for mode = "l7"`},
		{"proxy_protocol with l7", "# route", l7 + `proxy_protocol = "v1"`, "proxy_protocol", `is for mode = "l4"`},
		{"proxy_protocol with udp", "# route", "edge = true\nprotocol = \"udp\"\nproxy_protocol = \"v2\"", "proxy_protocol", "tcp"},
		{"an unknown proxy_protocol", "# route", "edge = true\nproxy_protocol = \"v3\"", "proxy_protocol", `must be "v1" or "v2", not "v3"`},
		{"an unknown protocol", "# route", `protocol = "sctp"`, "protocol", `must be "tcp" or "udp", not "sctp"`},
		{"udp with l7", "# route", "mode = \"l7\"\nprotocol = \"udp\"", "protocol", "HTTP/3"},
		{"udp with a hostname", "# route", "protocol = \"udp\"\nhostname = \"a.example\"", "hostname", "edge = true"},

		{"a key without an edge", "# route", "mode = \"l7\"\ncompress = true", "compress", "edge = true"},
		{"a password without an edge", "# route", "mode = \"l7\"\nbasic_auth = { ann = \"" + hash + "\" }", "basic_auth", "edge = true"},
		{"a list of networks without an edge", "# route", `allow = ["10.0.0.0/8"]`, "allow", "edge = true"},
		{"port 443 without tls", "port = 8443", "port = 443\n" + l7 + "tls = false", "tls", "must be true with port 443, or left out"},
		{"port 80 with tls", "port = 8443", "port = 80\n" + l7 + "tls = true", "tls", "must be false with port 80, or left out"},

		{"a password", "# route", l7 + `basic_auth = { ann = "open sesame" }`, "basic_auth.ann", "htpasswd -nBC 10"},
		{"a hash of another kind", "# route", l7 + `basic_auth = { ann = "$apr1$abcdefgh$abcdefghijklmnopqrstu." }`, "basic_auth.ann", "bcrypt"},
		{"a hash that was cut", "# route", l7 + `basic_auth = { ann = "` + hash[:59] + `" }`, "basic_auth.ann", "bcrypt"},
		{"a hash that costs too little", "# route", l7 + `basic_auth = { ann = "` + strings.Replace(hash, "$10$", "$05$", 1) + `" }`, "basic_auth.ann", "of cost 5; it must be from 10 to 14"},
		{"a hash that costs too much", "# route", l7 + `basic_auth = { ann = "` + strings.Replace(hash, "$10$", "$15$", 1) + `" }`, "basic_auth.ann", "of cost 15"},
		{"a user with a colon", "# route", l7 + `basic_auth = { "a:b" = "` + hash + `" }`, `basic_auth."a:b"`, "without colons"},
		{"a user without a name", "# route", l7 + `basic_auth = { "" = "` + hash + `" }`, `basic_auth.""`, "name of a user"},

		{"an address for a network", "# route", l7 + `allow = ["10.0.0.1"]`, "allow[0]", "must be a network"},
		{"a network of a name", "# route", l7 + `allow = ["shop.example/8"]`, "allow[0]", "must be a network"},
		{"a network with more bits", "# route", l7 + `allow = ["10.0.0.1/8"]`, "allow[0]", `the network is "10.0.0.0/8"`},
		{"a network of IPv4 in IPv6", "# route", l7 + `allow = ["::ffff:10.0.0.0/104"]`, "allow[0]", "network of IPv4"},
		{"a network twice", "# route", l7 + `allow = ["10.0.0.0/8", "10.0.0.0/8"]`, "allow[1]", "is taken by"},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			r.key = "components[0].routes[0]." + r.key
			found := problems(t, edit(t, r.old, r.new))
			require.Len(t, found, 1, "%v", found)
			require.Equal(t, r.key, found[0].Key)
			require.Contains(t, found[0].Message, r.message)
			require.NotContains(t, found[0].Message, "sesame", "a value that may be a password is not shown")
			require.Contains(t, r.lines(t), found[0].Line)
		})
	}
}

// two is a service of two components with a route each; the tests add keys to both.
func two(a, b string) string {
	return `name = "shop"
node = "rift"
[[components]]
name = "a"
image = "r.example/a:v1"
[[components.routes]]
name = "r"
port = 443
` + a + `
[[components]]
name = "b"
image = "r.example/b:v1"
[[components.routes]]
name = "s"
port = 443
` + b + "\n"
}

func TestEndpointsOfOneService(t *testing.T) {
	const at = "components[1].routes[0]"
	redirecting := "mode = \"l7\"\nhostname = \"main.example\"\nredirect_from = [\"shop.example\"]"
	tests := map[string]struct{ a, b, key, message string }{
		"the same, alike": {l7 + "compress = true\ntls = true", l7 + "compress = true\ntls = true", "", ""},
		"by address":      {"edge = true\nproxy_protocol = \"v1\"", "edge = true\nproxy_protocol = \"v1\"", "", ""},
		"another path":    {l7, l7 + "path = \"/api\"", "", ""},
		"a path within":   {l7 + "path = \"/a\"", l7 + "path = \"/a/b\"", "", ""},
		"a wildcard":      {l7, "mode = \"l7\"\nhostname = \"*.example\"", "", ""},
		"redirects alike": {redirecting, redirecting, "", ""},
		"no edge":         {"", "", "", ""},
		"one of several, with another option": {
			l7, "mode = \"l7\"\nhostname = [\"b.example\", \"shop.example\"]\nh2c = true", at,
			"serves shop.example:443, as components[0].routes[0] does, and differs in h2c"},
		"the same path, written otherwise": {l7 + "compress = true", l7 + "path = \"/\"", at, "differs in compress"},
		"other users": {
			l7 + "basic_auth = { ann = \"" + hash + "\" }", l7 + "basic_auth = { bob = \"" + hash + "\" }", at, "differs in basic_auth"},
		"other networks":           {l7, l7 + `allow = ["10.0.0.0/8"]`, at, "differs in allow"},
		"a redirect and a service": {redirecting, l7, at, "differs in redirect_from"},
		"redirects to two names": {
			redirecting, strings.Replace(redirecting, "main", "other", 1), at, "serves shop.example:443, as components[0].routes[0] does, and differs in redirect_from"},
		"another PROXY protocol": {"edge = true", "edge = true\nproxy_protocol = \"v1\"", at, "serves :443/tcp, as components[0].routes[0] does, and differs in proxy_protocol"},
		"l4 and l7":              {l7, `hostname = "shop.example"`, at, "shop.example:443/tcp is taken by components[0].routes[0]"},
		"l4 and l7, with a path": {`hostname = "shop.example"`, l7 + `path = "/api"`, at, "shop.example:443/api is taken by components[0].routes[0]"},
		"tcp and udp":            {"edge = true", "edge = true\nprotocol = \"udp\"", "", ""},
		"twice in a component": {
			l7, l7 + "[[components.routes]]\nname = \"t\"\nport = 443\n" + l7 + "compress = true", "components[1].routes[1]",
			"shop.example:443 is taken by components[1].routes[0]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := two(test.a, test.b)
			if test.key == "" {
				parse(t, text)
				return
			}
			found := problems(t, text)
			require.NotEmpty(t, found)
			last := found[len(found)-1]
			require.Equal(t, test.key, last.Key)
			require.Contains(t, last.Message, test.message)
			require.Greater(t, last.Line, lineOf(t, text, `name = "b"`))
		})
	}
}

func TestPlaces(t *testing.T) {
	places := func(text string) []string {
		var all []string
		for _, p := range parse(t, edit(t, "# route", text)).Components[0].Routes[0].Places() {
			text := p.String()
			if p.RedirectTo != "" {
				text += " to " + p.RedirectTo
			}
			all = append(all, text)
		}
		return all
	}
	require.Empty(t, places(""))
	require.Equal(t, []string{":8443/tcp"}, places("edge = true"))
	require.Equal(t, []string{":8443/udp"}, places("edge = true\nprotocol = \"udp\""))
	require.Equal(t, []string{"shop.example:8443/tcp"}, places(`hostname = "shop.example"`))
	require.Equal(t, []string{"a.example:8443/api", "*.b.example:8443/api", "c.example:8443/api to a.example"},
		places("mode = \"l7\"\nhostname = [\"a.example\", \"*.b.example\"]\nredirect_from = [\"c.example\"]\npath = \"/api\""))
	require.Equal(t, []string{"shop.example:8443"}, places(l7+"path = \"/\""))
}
