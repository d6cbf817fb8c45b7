package podman_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/internal/signing"
	"github.com/metacircular/mcp/servicedef"
)

// podmanWithPolicy starts a podman for which a folder is /etc/containers, and a home of
// its own: in a namespace of mounts, because root's podman reads its policy nowhere else.
func podmanWithPolicy(t *testing.T, system string) *parts.Podman {
	t.Helper()
	program, err := exec.LookPath("podman")
	require.NoError(t, err)
	bin, home := t.TempDir(), t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nHOME=%s; export HOME\nexec unshare --mount sh -c 'mount --bind %s /etc/containers && exec \"$0\" \"$@\"' %s \"$@\"\n", home, system, program)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "podman"), []byte(script), 0o700))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	return service
}

// Podman's own policy and mcp's check agree on what is signed: the signatures that mcp
// makes are in podman's format, and each refuses what the other does.
func TestPodmanChecksWhatIsSigned(t *testing.T) {
	host := startImageRegistry(t).Address()
	builds := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, builds.Destroy()) })
	builder := podman.New(builds.Socket())
	ann, annFile := signingKey(t)
	bob, bobFile := signingKey(t)
	registry := imageregistry.New(imageregistry.Options{Timeout: time.Minute})

	system := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(system, "registries.d"), 0o700))
	demand := func(files ...string) {
		required := signing.Requirements{host: files}
		policy, _, _, err := signing.Policy(nil, required, "4.3.1")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(system, "policy.json"), policy, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(system, "registries.d", "mcp.yaml"), signing.Attachments(required), 0o600))
	}
	demand(annFile)
	node := podman.New(podmanWithPolicy(t, system).Socket())

	push := func(tag string, platforms ...string) string {
		image := host + "/shop:" + tag
		dir := t.TempDir()
		file := filepath.Join(dir, "Containerfile")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "FROM scratch\nCOPY Containerfile /%s\n", tag), 0o600))
		_, err := builder.Build(t.Context(), runtime.BuildSpec{Tag: image, Context: dir, Containerfile: file, Platforms: platforms})
		require.NoError(t, err)
		var sent string
		spec := runtime.PushSpec{Image: image, Insecure: true, Sent: func(digest string) { sent = digest }}
		if len(platforms) > 1 {
			spec.Platforms = platforms
		}
		require.NoError(t, builder.Push(t.Context(), spec))
		kept, err := registry.Digest(t.Context(), image)
		require.NoError(t, err)
		require.Equal(t, kept, sent, "podman reports the digest that it sent")
		return servicedef.ByDigest(image, sent)
	}
	// accepted reports what podman and mcp say of an image, which must be the same.
	accepted := func(image string, keyFiles ...string) bool {
		t.Helper()
		keys, err := signing.ReadKeys(keyFiles)
		require.NoError(t, err)
		_, checked := registry.CheckSignature(t.Context(), image, keys)
		require.NoError(t, node.RemoveImage(t.Context(), image))
		pulled := node.Pull(t.Context(), runtime.PullSpec{Image: image, Insecure: true})
		if pulled != nil {
			require.Equal(t, fault.Invalid, fault.Of(pulled).Kind, pulled)
			require.Contains(t, fault.Of(pulled).Hint, "policy.json")
		}
		if pulled != nil && strings.Contains(pulled.Error(), podman.NoSigstore) {
			// It has found a signature, and would accept none.
			require.NotErrorIs(t, checked, signing.ErrUnsigned)
			require.Contains(t, fault.Of(pulled).Hint, "built without")
			return checked == nil
		}
		require.Equal(t, checked == nil, pulled == nil, "mcp: %v; podman: %v", checked, pulled)
		return pulled == nil
	}
	sign := func(image string, by *signing.Signer, want int) {
		added, err := registry.Sign(t.Context(), image, by)
		require.NoError(t, err)
		require.Equal(t, want, added)
	}

	first, second := push("v1"), push("v2")
	require.False(t, accepted(first, annFile), "it is not signed")
	sign(first, bob, 1)
	require.False(t, accepted(first, annFile), "another key has signed it")
	sign(first, ann, 1)
	require.True(t, accepted(first, annFile), "the key has signed it")
	sign(first, ann, 0)
	sign(first, bob, 0)

	t.Run("the signature of another digest is refused", func(t *testing.T) {
		require.False(t, accepted(second, annFile), "it is not signed")
		copySignatures(t, first, second)
		require.False(t, accepted(second, annFile))
		sign(second, ann, 1)
		require.True(t, accepted(second, annFile), "beside signatures of another image")
	})
	t.Run("of two keys the new one comes first", func(t *testing.T) {
		third := push("v3")
		sign(third, ann, 1)
		require.True(t, accepted(third, annFile))
		demand(bobFile, annFile)
		require.True(t, accepted(first, bobFile, annFile), "both have signed it")
		sign(third, bob, 1)
		require.True(t, accepted(third, bobFile, annFile))
		fourth := push("v4")
		sign(fourth, bob, 1)
		require.True(t, accepted(fourth, bobFile, annFile))
		demand(bobFile)
		require.True(t, accepted(third, bobFile), "the old key does not count any more")
		require.False(t, accepted(second, bobFile), "the old key alone has signed it")
	})
	t.Run("each image of a list is signed, because podman pulls one of them", func(t *testing.T) {
		list := push("all", "linux/amd64", "linux/arm64")
		require.False(t, accepted(list, bobFile))
		added, err := registry.Sign(t.Context(), list, bob)
		require.NoError(t, err)
		require.Greater(t, added, 1, "the list and what is in it")
		require.True(t, accepted(list, bobFile))
		sign(list, bob, 0)
	})
	t.Run("a push and a build need no signature", func(t *testing.T) {
		buildEmpty(t, node, host+"/own:v1")
		require.NoError(t, node.Push(t.Context(), runtime.PushSpec{Image: host + "/own:v1", Insecure: true}))
	})
}

// signingKey returns a key, and the file of its public half.
func signingKey(t *testing.T) (*signing.Signer, string) {
	t.Helper()
	private, public, err := signing.Generate(nil)
	require.NoError(t, err)
	signer, err := signing.ParseSigner(private, nil)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "cosign.pub")
	require.NoError(t, os.WriteFile(file, public, 0o600))
	return signer, file
}

// copySignatures makes the signatures of one image those of another, as whoever may write
// to the image registry can.
func copySignatures(t *testing.T, from, to string) {
	t.Helper()
	tag := func(image string) name.Tag {
		ref, err := name.NewDigest(image, name.Insecure)
		require.NoError(t, err)
		return ref.Context().Tag("sha256-" + ref.DigestStr()[len("sha256:"):] + ".sig")
	}
	signatures, err := remote.Image(tag(from))
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag(to), signatures))
}
