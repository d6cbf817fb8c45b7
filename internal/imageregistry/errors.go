package imageregistry

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metacircular/mcp/internal/fault"
)

// question is the lookup of an image, for errors.
type question struct {
	image, registry string
	insecure        bool // the registry is listed as insecure
	loggedIn        bool // credentials were sent
	place           string
}

// translate turns an error of go-containerregistry into a fault.
func (q question) translate(err error) error {
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return q.translateStatus(answer)
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) || errors.Is(err, http.ErrSchemeMismatch) && !q.insecure {
		return fault.Wrap(fault.Invalid, err, "trust image registry %s", q.registry).
			WithHint("list %s as an insecure image registry, or install its certificate authority on this host", q.registry)
	}
	// A request that got no response failed because of the network.
	var request *url.Error
	if errors.As(err, &request) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(fault.Unavailable, err, "reach image registry %s", q.registry)
	}
	return fault.Wrap(fault.Internal, err, "look up image %s", q.image)
}

func (q question) translateStatus(answer *transport.Error) error {
	switch status := answer.StatusCode; {
	case status == http.StatusNotFound && aboutManifest(answer):
		return fault.New(fault.NotFound, "image %s does not exist", q.image)
	case status == http.StatusNotFound:
		// A reverse proxy answers this while the registry behind it is down.
		return fault.Wrap(fault.Unavailable, answer, "reach image registry %s", q.registry).
			WithHint("check that an image registry runs at %s", q.registry)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f := fault.Wrap(fault.Unauthorized, answer, "look up image %s", q.image)
		if !q.loggedIn {
			return f.WithHint("podman login %s on the %s, and check the image's name: some image registries answer this for a repository that does not exist", q.registry, q.place)
		}
		return f.WithHint("check the credentials for %s and the image's name: the image registry refuses the credentials, or they may not read this repository, or it does not exist", q.registry)
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return fault.Wrap(fault.Unavailable, answer, "look up image %s", q.image)
	case status == http.StatusBadRequest:
		return fault.Wrap(fault.Invalid, answer, "look up image %s", q.image)
	default:
		return fault.Wrap(fault.Internal, answer, "look up image %s", q.image)
	}
}

// aboutManifest reports whether the answer concerns the image, not the image
// registry itself.
func aboutManifest(answer *transport.Error) bool {
	return answer.Request != nil && strings.Contains(answer.Request.URL.Path, "/manifests/")
}
