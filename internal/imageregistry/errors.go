package imageregistry

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metacircular/mcp/internal/fault"
)

// translate turns what go-containerregistry says into a fault. LoggedIn is
// whether credentials were sent.
func (c *Client) translate(err error, image string, ref name.Reference, loggedIn bool) error {
	registry := ref.Context().RegistryStr()
	var answer *transport.Error
	if errors.As(err, &answer) {
		return translateStatus(answer, image, registry, loggedIn)
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) || errors.Is(err, http.ErrSchemeMismatch) && !c.hosts.insecure(registry) {
		return fault.Wrap(fault.Invalid, err, "trust image registry %s", registry).
			WithHint("list %s as an insecure image registry, or give this host its certificate authority", registry)
	}
	// What is not an answer of the registry's is the network's fault if it
	// came from a request.
	var request *url.Error
	if errors.As(err, &request) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(fault.Unavailable, err, "reach image registry %s", registry)
	}
	return fault.Wrap(fault.Internal, err, "look up image %s", image)
}

func translateStatus(answer *transport.Error, image, registry string, loggedIn bool) error {
	switch status := answer.StatusCode; {
	case status == http.StatusNotFound && aboutManifest(answer):
		return fault.New(fault.NotFound, "image %s does not exist", image)
	case status == http.StatusNotFound:
		// A reverse proxy says so while the registry behind it is down.
		return fault.Wrap(fault.Unavailable, answer, "reach image registry %s", registry).
			WithHint("is there an image registry at %s?", registry)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f := fault.Wrap(fault.Unauthorized, answer, "look up image %s", image)
		if !loggedIn {
			return f.WithHint("podman login %s on the control worker's host, and look whether the name is right: some image registries say this of what does not exist", registry)
		}
		return f.WithHint("%s refuses the credentials that it was shown, or they may not read this repository, or there is none of that name", registry)
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return fault.Wrap(fault.Unavailable, answer, "look up image %s", image)
	case status == http.StatusBadRequest:
		return fault.Wrap(fault.Invalid, answer, "look up image %s", image)
	default:
		return fault.Wrap(fault.Internal, answer, "look up image %s", image)
	}
}

// aboutManifest reports whether the image registry answered for the image, and
// not for itself.
func aboutManifest(answer *transport.Error) bool {
	return answer.Request != nil && strings.Contains(answer.Request.URL.Path, "/manifests/")
}
