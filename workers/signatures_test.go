package workers

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
)

// A node checks what builders sign, by the keys of its own configuration.
func TestANodeChecksSignatures(t *testing.T) {
	program, err := filepath.Abs("../bin/registry")
	require.NoError(t, err)
	registry, err := parts.StartImageRegistry(t.Context(), parts.ImageRegistryOptions{Dir: t.TempDir(), Binary: program})
	require.NoError(t, err)
	t.Cleanup(registry.Stop)
	host := registry.Address()
	push := func(repository string) string {
		tag, err := name.NewTag(host + "/" + repository + ":v1")
		require.NoError(t, err)
		image, err := random.Image(64, 1)
		require.NoError(t, err)
		require.NoError(t, remote.Write(tag, image))
		digest, err := image.Digest()
		require.NoError(t, err)
		return tag.Context().Digest(digest.String()).String()
	}
	keys := t.TempDir()
	sign := func(key, image string) int {
		_, added, err := SignImage(t.Context(), image, Signing{KeyFile: filepath.Join(keys, key+".key"), Passphrase: []byte(key)}, nil, "")
		require.NoError(t, err)
		return added
	}
	public := map[string]string{}
	for _, key := range []string{"ann", "bob"} {
		public[key], err = NewSigningKey(filepath.Join(keys, key+".key"), []byte(key))
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(keys, key+".key"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	node := &Node{Name: "rift", Data: t.TempDir(), Signed: map[string][]string{host + "/shop": {public["ann"]}}}
	check := func(image string, present bool) *fault.Error {
		t.Helper()
		checks, err := node.signatures()
		require.NoError(t, err)
		return fault.Of(checks.Check(context.Background(), image, present))
	}
	shop := push("shop/api")

	refused := check(shop, false)
	require.Equal(t, fault.Invalid, refused.Kind)
	require.Equal(t, "image "+shop+" is refused, because image registry "+host+"/shop requires a signature by the key "+public["ann"]+": it has no signature", refused.Message)
	require.Contains(t, refused.Hint, "mcp build sign "+shop)
	require.Nil(t, check(push("yard/api"), false), "another part of the image registry")

	require.Equal(t, 1, sign("bob", host+"/shop/api:v1"))
	require.ErrorContains(t, check(shop, false), "its signature is by another key")
	require.Equal(t, 1, sign("ann", host+"/shop/api:v1"))
	require.Equal(t, 0, sign("ann", host+"/shop/api:v1"), "a second signature is not added")
	require.Nil(t, check(shop, false))

	t.Run("while a key is replaced both count", func(t *testing.T) {
		other := push("shop/web")
		sign("bob", other)
		node.Signed[host+"/shop"] = []string{public["bob"], public["ann"]}
		require.Nil(t, check(other, false))
		require.Nil(t, check(shop, false))
		node.Signed[host+"/shop"] = []string{public["ann"]}
		require.Contains(t, check(other, true).Message, "its signature is by another key", "what bob's key had accepted does not count")
	})
	t.Run("an image that is here needs no image registry", func(t *testing.T) {
		unsigned := push("shop/unsigned")
		registry.Stop()
		require.Nil(t, check(shop, true), "it was checked before")
		require.Equal(t, fault.Unavailable, check(shop, false).Kind)
		require.Equal(t, fault.Unavailable, check(unsigned, true).Kind, "it was never checked")
		node.Signed[host+"/shop"] = []string{public["bob"], public["ann"]}
		require.Nil(t, check(shop, true), "the key that signed it still counts")
	})
	t.Run("a wrong file is an error at the start, and a file that goes away one at the check", func(t *testing.T) {
		checks, err := node.signatures()
		require.NoError(t, err)
		require.NoError(t, os.Remove(public["bob"]))
		f := fault.Of(checks.Check(t.Context(), shop, true))
		require.Equal(t, fault.Invalid, f.Kind)
		require.Contains(t, f.Message, public["bob"])
		_, err = node.signatures()
		require.ErrorContains(t, err, public["bob"])
	})
	t.Run("the key of a builder", func(t *testing.T) {
		_, err := Signing{KeyFile: filepath.Join(keys, "ann.key"), Passphrase: []byte("wrong")}.signer(imageregistry.Options{})
		require.ErrorContains(t, err, "the passphrase is wrong")
		_, err = Signing{KeyFile: public["ann"]}.signer(imageregistry.Options{})
		require.ErrorContains(t, err, "not a private key")
		_, err = Signing{KeyFile: filepath.Join(keys, "none")}.signer(imageregistry.Options{})
		require.True(t, fault.Is(err, fault.Invalid))
		signer, err := Signing{}.signer(imageregistry.Options{})
		require.NoError(t, err)
		require.Nil(t, signer)
		_, err = NewSigningKey(filepath.Join(keys, "ann.key"), nil)
		require.ErrorContains(t, err, "exists", "no key is overwritten")
	})
}
