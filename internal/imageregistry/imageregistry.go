package imageregistry

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
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
	// Place is where the client runs, for advice; "control worker's host" if empty.
	Place string
}

// Client resolves images. It reuses connections and is safe for concurrent use.
type Client struct {
	hosts     hosts
	keychain  authn.Keychain
	transport http.RoundTripper
	timeout   time.Duration
	place     string
}

const defaultTimeout = 8 * time.Second

// New returns a Client. It does not connect.
func New(o Options) *Client {
	c := &Client{hosts: newHosts(o.Insecure), keychain: defaultKeychain, timeout: defaultTimeout, place: cmp.Or(o.Place, "control worker's host")}
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
	var digest string
	err = c.ask(ctx, image, ref, func(options ...remote.Option) error {
		found, err := remote.Head(ref, options...)
		if err == nil {
			digest = found.Digest.String()
		}
		return err
	})
	return digest, err
}

// ask runs one request to the image registry of a reference, log-in included, within the
// client's time-out, and translates its error.
func (c *Client) ask(ctx context.Context, image string, ref name.Reference, request func(options ...remote.Option) error) error {
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	login, err := c.login(bounded, ref.Context())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && bounded.Err() != nil:
		return fault.New(fault.Unavailable, "read the credentials for %s: no answer within %s", ref.Context().RegistryStr(), c.timeout).
			WithHint("a credential helper hangs on the %s: see credHelpers and credsStore in the file of docker login or podman login", c.place)
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "read the credentials for %s", ref.Context().RegistryStr()).
			WithHint("repair or remove the file of docker login or podman login on the %s", c.place)
	}
	err = request(
		remote.WithContext(bounded),
		remote.WithAuth(login),
		remote.WithTransport(c.transport),
		remote.WithUserAgent("mcp"),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryStatusCodes(),
	)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		registry := ref.Context().RegistryStr()
		q := question{image: image, registry: registry, insecure: c.hosts.insecure(registry), loggedIn: login != authn.Anonymous, place: c.place}
		return q.translate(err)
	}
	return nil
}

// login finds the credentials for a repository. It does not wait for a credential
// helper, a program that the file may name, for longer than ctx.
func (c *Client) login(ctx context.Context, repository name.Repository) (authn.Authenticator, error) {
	type answer struct {
		login authn.Authenticator
		err   error
	}
	found := make(chan answer, 1)
	go func() {
		login, err := authn.Resolve(ctx, c.keychain, repository)
		found <- answer{login, err}
	}()
	select {
	case a := <-found:
		return a.login, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
