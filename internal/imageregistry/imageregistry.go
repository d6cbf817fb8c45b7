// Package imageregistry asks OCI image registries what a tag stands for. It
// alone knows go-containerregistry.
package imageregistry

import (
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metacircular/mcp/internal/fault"
)

// Options says how to reach image registries.
type Options struct {
	// Insecure are the hosts, "host" or "host:port", that speak plain http or
	// have a certificate which nobody here vouches for. This host itself is
	// always one of them.
	Insecure []string
	// AuthFile holds credentials, as docker's config.json or podman's
	// auth.json does; "" looks where docker login and podman login put them.
	AuthFile string
	// Timeout bounds one question, log-in included; 8 s if zero, which is less
	// than an attempt of the activity that asks. Who asks tries again.
	Timeout time.Duration
}

// Client asks image registries. It keeps connections open for the next
// question and is safe for concurrent use.
type Client struct {
	hosts     hosts
	keychain  authn.Keychain
	transport http.RoundTripper
	timeout   time.Duration
}

const defaultTimeout = 8 * time.Second

// New makes a Client. It connects to nothing yet.
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

// Digest is the manifest digest, "sha256:…", that an image reference stands
// for; one that names a digest is looked up too. It asks once. Errors are
// *fault.Error: NotFound, Unauthorized, Unavailable when the image registry
// does not answer or asks for patience, Invalid for what cannot work as it
// stands. When ctx ends it returns the context's error.
func (c *Client) Digest(ctx context.Context, image string) (string, error) {
	ref, err := c.hosts.parse(image)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "read image reference %q", image)
	}
	login, err := authn.Resolve(ctx, c.keychain, ref.Context())
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "read the credentials for %s", ref.Context().RegistryStr()).
			WithHint("mend or remove the file that docker login or podman login wrote on the control worker")
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
		return "", c.translate(err, image, ref, login != authn.Anonymous)
	}
	return found.Digest.String(), nil
}
