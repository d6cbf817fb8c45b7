package imageregistry

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/metacircular/mcp/internal/loopback"
)

// hosts is the set of image registries that speak plain http or have a
// certificate that this host does not trust.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{}
	for _, name := range names {
		h[strings.ToLower(name)] = true
	}
	return h
}

// insecure reports whether a registry, "host" or "host:port", need not prove its
// identity. A name without a port covers every port. This host itself, as in
// docker, is always insecure.
func (h hosts) insecure(registry string) bool {
	host := hostOf(registry)
	return h.listed(registry) || host == "localhost" || net.ParseIP(host).IsLoopback()
}

// listed reports whether an operator has listed a registry as insecure.
func (h hosts) listed(registry string) bool {
	return h[strings.ToLower(registry)] || h[hostOf(registry)]
}

// hostOf returns the host of "host" or "host:port", in lower case.
func hostOf(registry string) string {
	registry = strings.ToLower(registry)
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		return strings.Trim(registry, "[]")
	}
	return host
}

// parse parses a reference as docker and podman do: the default registry is
// Docker Hub, and the default tag "latest".
func (h hosts) parse(image string) (name.Reference, error) {
	ref, err := name.ParseReference(image)
	if err != nil || !h.insecure(ref.Context().RegistryStr()) {
		return ref, err
	}
	return name.ParseReference(image, name.Insecure)
}

// Insecure returns a function that reports whether an image's registry is
// insecure, by the same rule as Client, for pulls and pushes. An invalid
// reference is not insecure.
func Insecure(names []string) func(image string) bool {
	h := newHosts(names)
	return func(image string) bool {
		ref, err := h.parse(image)
		return err == nil && h.insecure(ref.Context().RegistryStr())
	}
}

// errPlainHTTP refuses a request over plain http that is not allowed, because the
// request would send credentials unencrypted.
var errPlainHTTP = errors.New("plain http is allowed only for hosts that are listed as insecure")

// roundTripper verifies certificates except those of insecure hosts.
type roundTripper struct {
	hosts hosts
	// here is that of a registry on this machine, whatever its name leads to.
	verifying, trusting, here http.RoundTripper
}

func newTransport(h hosts) http.RoundTripper {
	verifying := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	trusting := verifying.Clone()
	trusting.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	here := trusting.Clone()
	here.Proxy, here.DialContext = nil, loopback.Dialer(5*time.Second).DialContext
	return &roundTripper{hosts: h, verifying: verifying, trusting: trusting, here: here}
}

// RoundTrip refuses plain http except for insecure hosts: go-containerregistry
// would use it for every private address.
func (t *roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	switch {
	case t.hosts.listed(request.URL.Host):
		return t.trusting.RoundTrip(request)
	case t.hosts.insecure(request.URL.Host):
		return t.here.RoundTrip(request)
	case request.URL.Scheme == "http":
		return nil, errPlainHTTP
	}
	return t.verifying.RoundTrip(request)
}
