package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/edge/table"
)

// hostname returns the host of a request in the form that a table uses, and whether it
// is one. A port must be a number.
func hostname(host string) (string, bool) {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
		if n, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil || n == 0 {
			return "", false
		}
	}
	if strings.HasPrefix(name, "[") {
		address, err := netip.ParseAddr(strings.Trim(name, "[]"))
		return table.Hostname(name), err == nil && address.Is6() && address.Zone() == ""
	}
	if len(name) > 254 || strings.HasPrefix(name, ".") || strings.Contains(name, "..") {
		return "", false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', 'A' <= c && c <= 'Z':
		default:
			return "", false
		}
	}
	return table.Hostname(name), true
}

// identify records who the client is, and whether it speaks TLS. What a trusted proxy
// says counts: the client has the last address that this proxy, or one before it, has
// added.
func (e *exchange) identify() {
	e.https = e.in.TLS != nil
	peer, err := netip.ParseAddrPort(e.in.RemoteAddr)
	if err != nil {
		return
	}
	e.client = peer.Addr().Unmap()
	e.peer = e.client.String()
	if e.trust = e.turn.proxy.trusted(e.client); !e.trust {
		return
	}
	if proto := e.in.Header.Get("X-Forwarded-Proto"); proto != "" {
		e.https = strings.EqualFold(proto, "https")
	}
	lists := e.in.Header["X-Forwarded-For"]
	for _, list := range slices.Backward(lists) {
		hops := strings.Split(list, ",")
		for _, hop := range slices.Backward(hops) {
			address, ok := parseHop(hop)
			if !ok {
				return
			}
			if e.client = address; !e.turn.proxy.trusted(address) {
				return
			}
		}
	}
}

// parseHop parses an address of X-Forwarded-For, which some proxies give a port.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap(), true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr().Unmap(), err == nil
}

func (p *Proxy) trusted(a netip.Addr) bool {
	a = a.WithZone("")
	return slices.ContainsFunc(p.options.TrustedProxies, func(n netip.Prefix) bool { return n.Contains(a) })
}

// forwarded says in h who the client is. What a client says of itself is replaced, what
// a trusted proxy says is kept.
func (e *exchange) forwarded(h http.Header) {
	values := make([]string, 4)
	set := func(i int, name, value string) {
		values[i] = value
		h[name] = values[i : i+1 : i+1]
	}
	chain, real, host := e.peer, e.peer, e.in.Host
	if e.trust {
		if former := strings.Join(e.in.Header["X-Forwarded-For"], ", "); former != "" {
			chain = former + ", " + e.peer
		}
		if former := e.in.Header.Get("X-Forwarded-Host"); former != "" {
			host = former
		}
		real = e.client.String()
	}
	if chain != "" {
		set(0, "X-Forwarded-For", chain)
		set(1, "X-Real-Ip", real)
	}
	set(2, "X-Forwarded-Host", host)
	proto := "http"
	if e.https {
		proto = "https"
	}
	set(3, "X-Forwarded-Proto", proto)
}

// redirect returns an answer that sends the client to the same path and query: over
// https, or as it came if scheme is ""; to another host unless that is ""; and to the
// port on which the edge serves the given one. A client that named no port has reached
// the edge at the usual one.
func (e *exchange) redirect(scheme, host string, port int) error {
	if host == "" {
		host = e.host
	}
	if scheme == "" {
		scheme = "http"
		if e.https {
			scheme = "https"
		}
	}
	_, named, err := net.SplitHostPort(e.in.Host)
	usual := map[string]string{"http": "80", "https": "443"}[scheme]
	if to := strconv.Itoa(e.turn.proxy.options.Listening(port)); (err == nil && named != "" || port != 80 && port != 443) && to != usual {
		host += ":" + to
	}
	location := scheme + "://" + host + e.in.URL.EscapedPath()
	if e.in.URL.RawQuery != "" {
		location += "?" + e.in.URL.RawQuery
	}
	return &answer{status: http.StatusPermanentRedirect, location: location}
}
