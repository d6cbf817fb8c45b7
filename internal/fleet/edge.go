package fleet

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Endpoint is where the world reaches a route: a port of the edges and, where the
// protocol names them, a hostname and a path.
type Endpoint struct {
	Port int `json:"port"`
	// Protocol is "http" for an l7 route, "tcp" or "udp" for an l4 route.
	Protocol string `json:"protocol"`
	// Hostname is in lower case, without a final dot. "*.shop.example" stands for
	// every name that has one label more than shop.example; "" for any name. With
	// "tcp" it is the server name of a TLS handshake.
	Hostname string `json:"hostname,omitempty"`
	// Path is a prefix of whole segments that begins with a slash and does not end
	// with one; "" is every path.
	Path string `json:"path,omitempty"`
}

// The protocols of an Endpoint.
const (
	ProtocolHTTP = "http"
	ProtocolTCP  = "tcp"
	ProtocolUDP  = "udp"
)

// String returns "shop.example:443/api", ":5432/tcp".
func (e Endpoint) String() string {
	text := e.Hostname + ":" + strconv.Itoa(e.Port)
	if e.Protocol != ProtocolHTTP {
		return text + "/" + e.Protocol
	}
	return text + e.Path
}

// Wildcard reports whether the endpoint stands for many hostnames.
func (e Endpoint) Wildcard() bool { return strings.HasPrefix(e.Hostname, "*.") }

// EdgeRoute is what edges serve at one endpoint.
type EdgeRoute struct {
	Endpoint Endpoint `json:"endpoint"`
	// Components are those of the service whose containers serve it, and Name the
	// route's; Upstreams are the addresses of the containers, as host:port.
	Components []string `json:"components"`
	Name       string   `json:"name"`
	Upstreams  []string `json:"upstreams,omitempty"`
	// Local maps those of Upstreams that only their own host reaches, such as a loopback
	// address, to the id of that machine. Another host would reach itself there.
	Local map[string]string `json:"local,omitempty"`
	// Plain serves an http endpoint without TLS, and without a redirect to it.
	Plain bool `json:"plain,omitempty"`
	// Redirect is the hostname to which every request is redirected; "" for none. Such
	// a route has no upstream.
	Redirect string `json:"redirect,omitempty"`
	// Strip removes the endpoint's Path from what the container receives.
	Strip bool `json:"strip,omitempty"`
	// H2C speaks HTTP/2 without TLS to the container, as gRPC needs.
	H2C bool `json:"h2c,omitempty"`
	// Compress compresses the responses that are worth it.
	Compress bool `json:"compress,omitempty"`
	// BasicAuth maps the names of users to bcrypt hashes of their passwords; empty
	// admits everyone.
	BasicAuth map[string]string `json:"basic_auth,omitempty"`
	// Allow are the networks of the clients, in CIDR notation; empty admits everyone.
	Allow []string `json:"allow,omitempty"`
	// ProxyProtocol is "v1" or "v2" where a tcp upstream expects that header.
	ProxyProtocol string `json:"proxy_protocol,omitempty"`
	// Held keeps new requests waiting, for a bounded time, while the only container is
	// replaced.
	Held bool `json:"held,omitempty"`
	// Maintenance answers every request with a page that says so.
	Maintenance bool `json:"maintenance,omitempty"`
}

// Publication is all that edges serve for one service. A service that they do not
// serve any more has a publication without routes.
type Publication struct {
	Service string `json:"service"`
	// Version grows with each publication of the service, even across a restore of the
	// registry. An edge ignores one that is not newer than what it has.
	Version int64       `json:"version"`
	Routes  []EdgeRoute `json:"routes,omitempty"`
}

// Upstreams returns the addresses of all routes, each once, in the order of the routes.
func (p Publication) Upstreams() []string {
	var all []string
	seen := map[string]bool{}
	for _, r := range p.Routes {
		for _, u := range r.Upstreams {
			if !seen[u] {
				seen[u] = true
				all = append(all, u)
			}
		}
	}
	return all
}

// From returns the publication as a machine can serve it: without the upstreams that
// only another host reaches. Unreachable are these upstreams, each once; Local still names
// them, so that From finds them in its own result, too.
func (p Publication) From(machine Machine) (served Publication, unreachable []string) {
	served = p
	served.Routes = slices.Clone(p.Routes)
	for i, r := range p.Routes {
		for _, u := range slices.Sorted(maps.Keys(r.Local)) {
			if machine.SameHost(Machine{ID: r.Local[u]}) {
				continue
			}
			upstreams := slices.Clone(served.Routes[i].Upstreams)
			served.Routes[i].Upstreams = slices.DeleteFunc(upstreams, func(other string) bool { return other == u })
			if !slices.Contains(unreachable, u) {
				unreachable = append(unreachable, u)
			}
		}
	}
	return served, unreachable
}

// Publishing is a publication that has been recorded, and has yet to reach the edges.
type Publishing struct {
	Publication Publication `json:"publication"`
	// Edges are those that must have it: the admitted ones.
	Edges []string `json:"edges,omitempty"`
	// Former are the upstreams of the publication before it that it does not have.
	Former []string `json:"former,omitempty"`
}

// EdgeRecord is an edge as it announces itself.
type EdgeRecord struct {
	Name string `json:"name"`
	// Key is the edge's public key, which an operator admits: "age1…".
	Key string `json:"key"`
	// Version is mcp's.
	Version  string `json:"version"`
	Hostname string `json:"hostname,omitempty"`
	// Addresses are those at which clients reach the edge, as far as it knows.
	Addresses []string `json:"addresses,omitempty"`
	// Ports maps a route's port to the one on which the edge listens, where that is
	// another one.
	Ports map[int]int `json:"ports,omitempty"`
	// Machine identifies its host, whose loopback addresses it can reach.
	Machine Machine `json:"machine"`
	// Versions are those of the publications that it has, by service. The answer leaves
	// these out.
	Versions map[string]int64 `json:"versions,omitempty"`
}

// EdgeAnswer is the answer to an edge that announces itself.
type EdgeAnswer struct {
	// Admitted reports whether an operator has admitted its key. The rest is empty
	// otherwise.
	Admitted bool `json:"admitted"`
	// Publications are those that the edge does not have, also those without routes.
	Publications []Publication `json:"publications,omitempty"`
	// Keys are those of all admitted edges, sorted: what edges share is sealed to them.
	Keys []string `json:"keys,omitempty"`
	// Pass is Secret, sealed to the edge's key. With it the edge proves its requests to
	// the storage that edges share.
	Pass   []byte `json:"pass,omitempty"`
	Secret []byte `json:"-"`
	// More reports whether not all of the publications are in the answer. The edge
	// announces itself again once it serves these, with the versions that it has by then.
	More bool `json:"more,omitempty"`
}

// PassSubject names the Pass of an edge for package seal.
func PassSubject(edge string) string { return "edge-pass/" + edge }

// EdgeStatus is what an edge reports of itself.
type EdgeStatus struct {
	// Versions are those of the publications that it serves, by service.
	Versions map[string]int64 `json:"versions"`
	// Active counts the requests and connections of each upstream that has any.
	Active map[string]int `json:"active,omitempty"`
	// Listening are the ports on which it listens, of its own host.
	Listening []int `json:"listening,omitempty"`
	// Certificates are those of its hostnames.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Problems are what keeps it from serving part of what it should, a sentence each.
	Problems []string  `json:"problems,omitempty"`
	Started  time.Time `json:"started,omitzero"`
}

// Certificate is the certificate of a hostname at an edge.
type Certificate struct {
	Hostname string `json:"hostname"`
	// Issuer is the name of the authority that has signed it; "" where there is none yet.
	Issuer string    `json:"issuer,omitempty"`
	From   time.Time `json:"from,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	// Problem is why it could not be obtained or renewed; "" if nothing failed since.
	Problem string    `json:"problem,omitempty"`
	Failed  time.Time `json:"failed,omitzero"`
}

// EdgeState is an edge as the registry has it.
type EdgeState struct {
	EdgeRecord
	// Admitted is when an operator admitted its key; zero if none has.
	Admitted time.Time `json:"admitted,omitzero"`
	// Seen is when it last announced itself, or answered.
	Seen time.Time `json:"seen,omitzero"`
	// Stale are the services whose newest publication it has not acknowledged.
	Stale []string `json:"stale,omitempty"`
	// Problems are what kept it from serving part of a publication that it has, a
	// sentence each, by service.
	Problems map[string][]string `json:"problems,omitempty"`
	// Unknown are the services of which it has, by its last answer, a publication that the
	// registry does not have: that was restored or emptied since, or the service was purged
	// long ago.
	Unknown []string `json:"unknown,omitempty"`
	// Status is its last answer; nil before the first.
	Status *EdgeStatus `json:"status,omitempty"`
}

// EdgeAck is what an edge has of a publication.
type EdgeAck struct {
	Edge    string `json:"edge"`
	Service string `json:"service"`
	Version int64  `json:"version"`
	// Problems are what keeps the edge from serving part of it, a sentence each.
	Problems []string `json:"problems,omitempty"`
}

// EndpointHolder is the service that holds an endpoint.
type EndpointHolder struct {
	Endpoint Endpoint `json:"endpoint"`
	Service  string   `json:"service"`
}

// ProblemsNow returns what keeps an edge from serving part of what it should, each once:
// what its status says, and what it has answered to publications. An edge that answers
// now, and has acknowledged the newest publication of a service, has overcome what its
// status does not repeat.
func (e EdgeState) ProblemsNow(answers bool) []string {
	var problems []string
	add := func(all []string) {
		for _, problem := range all {
			if !slices.Contains(problems, problem) {
				problems = append(problems, problem)
			}
		}
	}
	if e.Status != nil {
		add(e.Status.Problems)
	}
	for _, service := range slices.Sorted(maps.Keys(e.Problems)) {
		if !answers || slices.Contains(e.Stale, service) {
			add(e.Problems[service])
		}
	}
	return problems
}
