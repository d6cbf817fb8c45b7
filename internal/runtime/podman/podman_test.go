package podman_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

func startPodman(t *testing.T, dir string) *parts.Podman {
	t.Helper()
	service, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: dir, Private: true})
	require.NoError(t, err)
	return service
}

func startImageRegistry(t *testing.T) *parts.ImageRegistry {
	t.Helper()
	program, err := filepath.Abs("../../../bin/registry")
	require.NoError(t, err)
	require.FileExists(t, program, "make tools builds it")
	images, err := parts.StartImageRegistry(t.Context(), parts.ImageRegistryOptions{Dir: t.TempDir(), Binary: program})
	require.NoError(t, err)
	t.Cleanup(images.Stop)
	return images
}

func TestPodmanKeepsTheContract(t *testing.T) {
	contract.Test(t, func(t *testing.T) contract.Rig {
		dir := t.TempDir()
		service := startPodman(t, dir)
		t.Cleanup(func() { require.NoError(t, service.Destroy()) })
		images := startImageRegistry(t)
		return contract.Rig{
			Runtime:  podman.New(service.Socket()),
			Registry: images.Address(),
			SetDown: func(down bool) {
				service.Stop()
				if !down {
					service = startPodman(t, dir)
				}
			},
			AddSecret: func(name string) { addSecret(t, service.Socket(), name, "hush") },
			Digest:    digestOf,
			Leftovers: func() ([]string, error) { return workingContainers(service.Socket()) },
			Reachable: true,
		}
	})
}

// digestOf returns the digest of a tag in its image registry.
func digestOf(t *testing.T, image string) string {
	t.Helper()
	digest, err := imageregistry.New(imageregistry.Options{}).Digest(t.Context(), image)
	require.NoError(t, err)
	return digest
}

// transportTo connects to podman's socket.
func transportTo(socket string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
		},
	}
}

// clientOf returns a client of podman's socket.
func clientOf(socket string) *http.Client { return &http.Client{Transport: transportTo(socket)} }

// ask decodes podman's answer to a GET that Engine does not send.
func ask(socket, path string, answer any) error {
	response, err := clientOf(socket).Get("http://podman/v4.0.0/libpod/" + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(answer)
}

// workingContainers returns the containers of builds, which podman lists as
// external.
func workingContainers(socket string) ([]string, error) {
	var containers []struct{ Names []string }
	if err := ask(socket, "containers/json?all=true&external=true", &containers); err != nil {
		return nil, err
	}
	var names []string
	for _, c := range containers {
		if !strings.HasPrefix(c.Names[0], "contract-") {
			names = append(names, c.Names...)
		}
	}
	return names, nil
}

func TestConnect(t *testing.T) {
	t.Run("a missing podman is Unavailable, and the error names the socket", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "absent.sock")
		_, err := podman.Connect(t.Context(), socket)
		require.True(t, fault.Is(err, fault.Unavailable), err)
		require.ErrorContains(t, err, socket)
	})

	t.Run("an address that is not a unix socket is Invalid", func(t *testing.T) {
		t.Setenv("CONTAINER_HOST", "unix:///run/podman/podman.sock")
		for _, address := range []string{"", "tcp://127.0.0.1:1", "podman.sock"} {
			_, err := podman.Connect(t.Context(), address)
			require.True(t, fault.Is(err, fault.Invalid), "%q: %v", address, err)
		}
	})

	t.Run("a call to a podman that hangs ends with its context", func(t *testing.T) {
		listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "deaf.sock"))
		require.NoError(t, err)
		defer listener.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = podman.New(listener.Addr().String()).List(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}
