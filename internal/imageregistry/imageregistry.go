package imageregistry

import (
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metacircular/mcp/internal/fault"
)

// Options configures a Client.
type Options struct {
	// Insecure lists the hosts, "host" or "host:port", that speak plain http or
	// have a certificate that this host does not trust. This host itself is
	// always one of them.
	Insecure []string
	// AuthFile holds credentials in the format of docker's config.json or
	// podman's auth.json; "" means the files of docker login and podman login.
	AuthFile string
	// Timeout bounds one request, log-in included; 8 s if zero, which is less
	// than an attempt of the activity that calls.
	Timeout time.Duration
}

// Client resolves images. It reuses connections and is safe for concurrent use.
type Client struct {
	hosts     hosts
	keychain  authn.Keychain
	transport http.RoundTripper
	timeout   time.Duration
}

const defaultTimeout = 8 * time.Second

// New returns a Client. It does not connect.
func New(o Options) *Client {
	c := &Client{hosts: newHosts(o.Insecure), keychain: defaultKeychain, timeout: defaultTimeout}
	if o.AuthFile != "" {
		c.keychain = authFile{path: o.AuthFile}
	}
	if o.Timeout > 0 {
		c.timeout = o.Timeout
	}
	c.transport = newTransport(c.hosts)
	return c
}

// Digest returns the manifest digest, "sha256:…", of an image reference. It sends
// a request even if the reference has a digest, and does not retry. Errors are
// *fault.Error: NotFound, Unauthorized, Unavailable when the image registry does
// not answer or limits the rate, Invalid for what cannot succeed unchanged. When
// ctx ends it returns the context's error.
func (c *Client) Digest(ctx context.Context, image string) (string, error) {
	ref, err := c.hosts.parse(image)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "parse image reference %q", image)
	}
	login, err := authn.Resolve(ctx, c.keychain, ref.Context())
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "read the credentials for %s", ref.Context().RegistryStr()).
			WithHint("repair or remove the file of docker login or podman login on the control worker's host")
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	found, err := remote.Head(ref,
		remote.WithContext(bounded),
		remote.WithAuth(login),
		remote.WithTransport(c.transport),
		remote.WithUserAgent("mcp"),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryStatusCodes(),
	)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		registry := ref.Context().RegistryStr()
		q := question{image: image, registry: registry, insecure: c.hosts.insecure(registry), loggedIn: login != authn.Anonymous}
		return "", q.translate(err)
	}
	return found.Digest.String(), nil
}
