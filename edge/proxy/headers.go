package proxy

import (
	"net/http"
	"net/textproto"
	"strings"
)

// noAgent keeps the transport from naming itself if the client does not.
var noAgent = []string{""}

// headers returns the headers that the container receives: those of the client without
// what belongs to its connection, or says what only the edge may say.
func (e *exchange) headers(r *route) http.Header {
	in := e.in.Header
	out := make(http.Header, len(in)+4)
	for name, values := range in {
		if !hopByHop(name) && !reserved(name) {
			out[name] = values
		}
	}
	for _, list := range in["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)); !endToEnd(name) {
				delete(out, name)
			}
		}
	}
	if listed(in["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
	if kind := e.upgrade(); kind != "" {
		out["Connection"], out["Upgrade"] = []string{"Upgrade"}, []string{kind}
	}
	if in["User-Agent"] == nil {
		out["User-Agent"] = noAgent
	}
	e.forwarded(out)
	if r.Strip && r.Endpoint.Path != "" {
		out["X-Forwarded-Prefix"] = []string{r.Endpoint.Path}
	}
	return out
}

// upgrade returns the protocol to which the client would change; "" for none. HTTP/2
// without TLS is refused: its requests would bypass the table.
func (e *exchange) upgrade() string {
	kind := e.in.Header.Get("Upgrade")
	if kind == "" || e.in.ProtoMajor != 1 || e.turn.route.H2C || !listed(e.in.Header["Connection"], "upgrade") {
		return ""
	}
	for protocol := range strings.SplitSeq(kind, ",") {
		protocol = strings.ToLower(strings.TrimSpace(protocol))
		if protocol == "h2c" || strings.HasPrefix(protocol, "http") {
			return ""
		}
	}
	return kind
}

// listed reports whether a header that is a list has a token, in any case.
func listed(values []string, token string) bool {
	for _, list := range values {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(textproto.TrimString(one), token) {
				return true
			}
		}
	}
	return false
}

// hopByHop reports whether a header, in its canonical form, belongs to one connection.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// reserved reports whether only the edge may set a header: what is said of the client,
// and names that a server could take for those, as CGI's servers take Proxy and
// X_Forwarded_For.
func reserved(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if hopByHop(name) || name == "Content-Length" || name == "Host" {
			return true
		}
	}
	switch name {
	case "Forwarded", "X-Real-Ip", "Proxy":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// endToEnd reports whether a client cannot make a header one of its connection: the
// container must see it as the edge has seen it.
func endToEnd(name string) bool {
	switch name {
	case "Authorization", "Cookie", "Host", "Cache-Control", "Expect":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}

// inward removes from the headers of an answer what belongs to the upstream's
// connection, or names ports of the inside.
func inward(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)); !strings.HasPrefix(name, "Content-") {
				delete(h, name)
			}
		}
	}
	for name := range h {
		if hopByHop(name) || name == "Alt-Svc" {
			delete(h, name)
		}
	}
}
