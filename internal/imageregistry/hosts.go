package imageregistry

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// hosts are the image registries that speak plain http or have a certificate
// nobody here vouches for.
type hosts map[string]bool

func newHosts(names []string) hosts {
	h := hosts{}
	for _, name := range names {
		h[strings.ToLower(name)] = true
	}
	return h
}

// insecure reports whether a registry, "host" or "host:port", need not prove
// who it is. A name without a port stands for every port. What never leaves
// this host needs no proof, as docker has it.
func (h hosts) insecure(registry string) bool {
	registry = strings.ToLower(registry)
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = strings.Trim(registry, "[]")
	}
	return h[registry] || h[host] || host == "localhost" || net.ParseIP(host).IsLoopback()
}

// parse reads a reference the way docker and podman write one: without a
// registry it is Docker Hub's, without a tag or digest it is "latest".
func (h hosts) parse(image string) (name.Reference, error) {
	ref, err := name.ParseReference(image)
	if err != nil || !h.insecure(ref.Context().RegistryStr()) {
		return ref, err
	}
	return name.ParseReference(image, name.Insecure)
}

// Insecure makes the answer to whether an image's registry speaks plain http
// or has an unknown certificate, for those who pull and push: the same that
// Client goes by. A reference that cannot be read is not insecure.
func Insecure(names []string) func(image string) bool {
	h := newHosts(names)
	return func(image string) bool {
		ref, err := h.parse(image)
		return err == nil && h.insecure(ref.Context().RegistryStr())
	}
}

// errPlainHTTP is what a question over plain http gets where nobody allowed
// it: it would carry credentials for all to read.
var errPlainHTTP = errors.New("plain http is for hosts that are listed as insecure")

// roundTripper sends each request the way its host was declared.
type roundTripper struct {
	hosts         hosts
	proving, free http.RoundTripper
}

func newTransport(h hosts) http.RoundTripper {
	proving := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	free := proving.Clone()
	free.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return &roundTripper{hosts: h, proving: proving, free: free}
}

// RoundTrip refuses plain http where it was not allowed: go-containerregistry
// takes every private address to be allowed.
func (t *roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	switch {
	case t.hosts.insecure(request.URL.Host):
		return t.free.RoundTrip(request)
	case request.URL.Scheme == "http":
		return nil, errPlainHTTP
	}
	return t.proving.RoundTrip(request)
}
