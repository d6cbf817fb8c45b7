package imageregistry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
)

// digest is the answer of the fake registries of these tests.
const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// noLogin hides the credentials of the user that runs the tests.
func noLogin(t *testing.T) {
	t.Helper()
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE"} {
		t.Setenv(name, t.TempDir())
	}
}

// answers returns an image registry that answers every manifest with one status.
func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Content-Length", "0")
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(status)
	}
}

// address returns "host:port" of a test server.
func address(server *httptest.Server) string {
	_, address, _ := strings.Cut(server.URL, "://")
	return address
}

func TestDigestOfARealRegistry(t *testing.T) {
	noLogin(t)
	binary, err := filepath.Abs(filepath.Join("..", "..", "bin", "registry"))
	require.NoError(t, err)
	registry, err := parts.StartImageRegistry(t.Context(), parts.ImageRegistryOptions{Dir: t.TempDir(), Binary: binary})
	require.NoError(t, err)
	t.Cleanup(registry.Stop)
	repository := registry.Address() + "/shop/api"
	tag, err := name.NewTag(repository + ":v1")
	require.NoError(t, err)
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, image))
	pushed, err := image.Digest()
	require.NoError(t, err)
	client := imageregistry.New(imageregistry.Options{})

	t.Run("a tag resolves to its digest", func(t *testing.T) {
		found, err := client.Digest(t.Context(), repository+":v1")
		require.NoError(t, err)
		require.Equal(t, pushed.String(), found)
	})
	t.Run("a digest resolves to itself, with and without a tag", func(t *testing.T) {
		for _, image := range []string{repository + "@" + pushed.String(), repository + ":v1@" + pushed.String()} {
			found, err := client.Digest(t.Context(), image)
			require.NoError(t, err)
			require.Equal(t, pushed.String(), found)
		}
	})
	for title, image := range map[string]string{
		"tag":        repository + ":v2",
		"digest":     repository + "@" + digest,
		"repository": registry.Address() + "/shop/none:v1",
	} {
		t.Run("a missing "+title+" is NotFound, and the error names it", func(t *testing.T) {
			_, err := client.Digest(t.Context(), image)
			require.True(t, fault.Is(err, fault.NotFound), "%v", err)
			require.ErrorContains(t, err, image)
		})
	}
	t.Run("a registry that has stopped is Unavailable", func(t *testing.T) {
		registry.Stop()
		_, err := client.Digest(t.Context(), repository+":v1")
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.ErrorContains(t, err, registry.Address())
	})
}

func TestDigestTranslatesErrors(t *testing.T) {
	noLogin(t)
	everywhere := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	cases := map[string]struct {
		handler http.HandlerFunc
		kind    fault.Kind
	}{
		"no such manifest":            {answers(404), fault.NotFound},
		"not logged in":               {everywhere(401), fault.Unauthorized},
		"not allowed":                 {answers(403), fault.Unauthorized},
		"not logged in, at the image": {answers(401), fault.Unauthorized},
		"too many requests":           {answers(429), fault.Unavailable},
		"broken":                      {answers(500), fault.Unavailable},
		"a proxy without a backend":   {answers(503), fault.Unavailable},
		"down behind a reverse proxy": {everywhere(404), fault.Unavailable},
		"down from the first request": {everywhere(502), fault.Unavailable},
		"a bad request":               {answers(400), fault.Invalid},
		"an unknown status":           {answers(418), fault.Internal},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				c.handler(w, r)
			}))
			defer server.Close()
			_, err := imageregistry.New(imageregistry.Options{}).Digest(t.Context(), address(server)+"/shop/api:v1")
			require.Equal(t, c.kind, fault.Of(err).Kind, "%v", err)
			require.ErrorContains(t, err, address(server))
			require.LessOrEqual(t, asked.Load(), int32(2), "it retried")
			if c.kind == fault.Unauthorized {
				require.Contains(t, fault.Of(err).Hint, "podman login "+address(server))
			}
		})
	}

	t.Run("a reference that cannot be parsed is Invalid", func(t *testing.T) {
		for _, image := range []string{"", "UPPER/case:v1", "host:5000/a b", "host:5000/a@sha256:12"} {
			_, err := imageregistry.New(imageregistry.Options{}).Digest(t.Context(), image)
			require.True(t, fault.Is(err, fault.Invalid), "%q: %v", image, err)
		}
	})
}

func TestDigestDoesNotHang(t *testing.T) {
	noLogin(t)
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); server.Close() })

	t.Run("a registry that does not answer is Unavailable", func(t *testing.T) {
		client := imageregistry.New(imageregistry.Options{Timeout: 50 * time.Millisecond})
		_, err := client.Digest(t.Context(), address(server)+"/shop/api:v1")
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	})
	t.Run("a log-in that is not answered is Unavailable", func(t *testing.T) {
		asked := make(chan struct{}, 1)
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				asked <- struct{}{}
				<-r.Context().Done()
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="r"`)
			w.WriteHeader(http.StatusUnauthorized)
		}))
		defer registry.Close()
		client := imageregistry.New(imageregistry.Options{Timeout: 300 * time.Millisecond})
		_, err := client.Digest(t.Context(), address(registry)+"/shop/api:v1")
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.NotEmpty(t, asked)
	})
	t.Run("a credential helper that hangs is Unavailable", func(t *testing.T) {
		bin, held := t.TempDir(), filepath.Join(t.TempDir(), "held")
		require.NoError(t, syscall.Mkfifo(held, 0o600))
		helper := "#!/bin/sh\nread line <" + held + "\n" // waits for a writer
		require.NoError(t, os.WriteFile(filepath.Join(bin, "docker-credential-held"), []byte(helper), 0o755))
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		file := filepath.Join(t.TempDir(), "auth.json")
		require.NoError(t, os.WriteFile(file, []byte(`{"credsStore": "held"}`), 0o600))
		t.Cleanup(func() { require.NoError(t, os.WriteFile(held, []byte("\n"), 0o600)) })
		client := imageregistry.New(imageregistry.Options{Timeout: 50 * time.Millisecond, AuthFile: file})
		_, err := client.Digest(t.Context(), address(server)+"/shop/api:v1")
		require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
		require.Contains(t, fault.Of(err).Hint, "credential helper")
	})
	t.Run("a caller that cancels gets the context's error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := imageregistry.New(imageregistry.Options{}).Digest(ctx, address(server)+"/shop/api:v1")
		require.ErrorIs(t, err, context.Canceled)
	})
}
