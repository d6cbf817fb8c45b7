package codec

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// maxRequest bounds what the UI asks for at once: a page of a history.
const maxRequest = 32 << 20

// Handler decrypts for Temporal's UI, at the path /decode; it does not encrypt. It
// answers a page of the UI, and programs of this host such as Temporal's own command
// line: a page of another origin gets no answer, and neither does one that reached this
// host by a name of its own.
func (c *Codec) Handler(ui string) http.Handler {
	decode := converter.NewPayloadCodecHTTPHandler(decoder{c})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		w.Header().Set("Cache-Control", "no-store")
		origin := r.Header.Get("Origin")
		switch {
		case !isLocal(r.Host):
			http.Error(w, "the codec endpoint is reached by a loopback address alone", http.StatusForbidden)
			return
		case origin != "" && !sameOrigin(origin, ui): // a program has none
			http.Error(w, "the codec endpoint answers pages of "+ui+" alone", http.StatusForbidden)
			return
		}
		if origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type, X-Namespace, Authorization")
		}
		switch {
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		case r.Method != http.MethodPost:
			http.Error(w, "the codec endpoint takes POST", http.StatusMethodNotAllowed)
		case r.URL.Path != "/decode":
			http.NotFound(w, r)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
			decode.ServeHTTP(w, r)
		}
	})
}

// decoder decrypts what it can, without a note of what it cannot: a caller may ask for
// anything.
type decoder struct{ codec *Codec }

func (d decoder) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	return d.codec.decodeSome(payloads, nil)
}

func (d decoder) Encode(payloads []*common.Payload) ([]*common.Payload, error) { return payloads, nil }

// isLocal reports whether a request names this host by a loopback address: a page can
// make its own name resolve to this host, but not remove it from the request.
func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return name == "localhost" || err == nil && ip.IsLoopback()
}

// sameOrigin reports whether an origin is that of a URL. A UI on loopback has two: an
// address, and localhost.
func sameOrigin(origin, ui string) bool {
	asked, err := url.Parse(origin)
	if err != nil || asked.Host == "" || asked.Path != "" || asked.User != nil {
		return false
	}
	own, err := url.Parse(ui)
	if err != nil || asked.Scheme != own.Scheme || portOf(asked) != portOf(own) {
		return false
	}
	return strings.EqualFold(asked.Hostname(), own.Hostname()) || isLocal(asked.Host) && isLocal(own.Host)
}

// portOf returns the port of a URL, which may be its scheme's.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
