package signing_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/signing"
)

func image(t *testing.T, reference string) name.Digest {
	t.Helper()
	ref, err := name.NewDigest(reference)
	require.NoError(t, err)
	return ref
}

var one, two = "sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)

// keyPair returns a signer and the file of its public key.
func keyPair(t *testing.T, passphrase string) (*signing.Signer, string) {
	t.Helper()
	private, public, err := signing.Generate([]byte(passphrase))
	require.NoError(t, err)
	signer, err := signing.ParseSigner(private, []byte(passphrase))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "cosign.pub")
	require.NoError(t, os.WriteFile(file, public, 0o600))
	return signer, file
}

func TestASignatureIsOfOneImageByOneKey(t *testing.T) {
	ann, annFile := keyPair(t, "")
	bob, bobFile := keyPair(t, "a passphrase")
	keys, err := signing.ReadKeys([]string{annFile})
	require.NoError(t, err)
	both, err := signing.ReadKeys([]string{annFile, bobFile})
	require.NoError(t, err)
	shop := image(t, "registry.example:5000/shop@"+one)
	byAnn, err := ann.Sign(shop)
	require.NoError(t, err)
	byBob, err := bob.Sign(shop)
	require.NoError(t, err)
	changed := byAnn
	changed.Payload = []byte(strings.Replace(string(byAnn.Payload), one, two, 1))
	for _, c := range []struct {
		name       string
		image      string
		signatures []signing.Signature
		keys       []signing.PublicKey
		want       error
	}{
		{"signed", "registry.example:5000/shop@" + one, []signing.Signature{byAnn}, keys, nil},
		{"signed by the second key of two", "registry.example:5000/shop@" + one, []signing.Signature{byBob}, both, nil},
		{"signed by both", "registry.example:5000/shop@" + one, []signing.Signature{byBob, byAnn}, keys, nil},
		{"not signed", "registry.example:5000/shop@" + one, nil, keys, signing.ErrUnsigned},
		{"signed by another key", "registry.example:5000/shop@" + one, []signing.Signature{byBob}, keys, signing.ErrOtherKey},
		{"another digest", "registry.example:5000/shop@" + two, []signing.Signature{byAnn}, keys, signing.ErrOtherImage},
		{"another repository", "registry.example:5000/yard@" + one, []signing.Signature{byAnn}, keys, signing.ErrOtherImage},
		{"another registry", "registry.example:5001/shop@" + one, []signing.Signature{byAnn}, keys, signing.ErrOtherImage},
		{"a changed payload", "registry.example:5000/shop@" + two, []signing.Signature{changed}, keys, signing.ErrOtherKey},
		{"no base64", "registry.example:5000/shop@" + one, []signing.Signature{{Payload: byAnn.Payload, Text: "?"}}, keys, signing.ErrOtherKey},
		{"no keys", "registry.example:5000/shop@" + one, []signing.Signature{byAnn}, nil, signing.ErrOtherKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := signing.Check(image(t, c.image), c.signatures, c.keys)
			require.ErrorIs(t, err, c.want)
		})
	}

	t.Run("a payload of another kind does not count, whoever signed it", func(t *testing.T) {
		var text map[string]any
		require.NoError(t, json.Unmarshal(byAnn.Payload, &text))
		require.Equal(t, "cosign container image signature", text["critical"].(map[string]any)["type"])
		require.Equal(t, map[string]any{"docker-reference": "registry.example:5000/shop"}, text["critical"].(map[string]any)["identity"])
	})
}

func TestFilesOfKeys(t *testing.T) {
	private, public, err := signing.Generate([]byte("open"))
	require.NoError(t, err)
	_, err = signing.ParseSigner(private, []byte("shut"))
	require.ErrorIs(t, err, signing.ErrPassphrase)
	_, err = signing.ParseSigner(public, nil)
	require.ErrorContains(t, err, "not a private key of cosign")
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"a private key":           {string(private), 0o600, "private key"},
		"no key":                  {"cosign", 0o600, "not a public key"},
		"empty":                   {"", 0o600, "not a public key"},
		"two keys":                {string(public) + string(public), 0o600, "more than one key"},
		"a key of another format": {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0o600, "not a public key"},
		"others may write":        {string(public), 0o666, "others may write"},
		"large":                   {strings.Repeat("x", 1<<20), 0o600, "not a public key"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key.pub")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			require.NoError(t, os.Chmod(file, c.mode))
			_, err := signing.ReadKeys([]string{file})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, file)
		})
	}
	_, err = signing.ReadKeys([]string{"/nowhere/key.pub"})
	require.ErrorContains(t, err, "/nowhere/key.pub")
	_, err = signing.ReadKeys([]string{t.TempDir()})
	require.ErrorContains(t, err, "not a public key")
}

func TestTheLongestScopeCounts(t *testing.T) {
	required := signing.Requirements{"registry.example:5000": {"all"}, "registry.example:5000/shop": {"shop"}, "docker.io": {"hub"}}
	for image, want := range map[string]string{
		"registry.example:5000/yard:v1":           "registry.example:5000",
		"registry.example:5000/shop:v1":           "registry.example:5000/shop",
		"registry.example:5000/shop/api@" + one:   "registry.example:5000/shop",
		"registry.example:5000/shopping@" + one:   "registry.example:5000",
		"registry.example:50000/shop:v1":          "",
		"postgres:17":                             "docker.io",
		"localhost/shop:v1":                       "",
		"registry.example:5000.evil.example/shop": "",
	} {
		scope, files := required.For(image)
		require.Equal(t, want, scope, image)
		require.Equal(t, required[want], files)
	}
}

func TestAcceptedImagesAreRememberedByKey(t *testing.T) {
	ann, _ := keyPair(t, "")
	bob, _ := keyPair(t, "")
	path := filepath.Join(t.TempDir(), "signatures", "rift.json")
	memory := &signing.Accepted{Path: path}
	require.False(t, memory.Has("shop@"+one, []signing.PublicKey{ann.Public()}))
	memory.Add("shop@"+one, ann.Public())
	for _, after := range []*signing.Accepted{memory, {Path: path}} {
		require.True(t, after.Has("shop@"+one, []signing.PublicKey{bob.Public(), ann.Public()}))
		require.False(t, after.Has("shop@"+one, []signing.PublicKey{bob.Public()}), "its key does not count any more")
		require.False(t, after.Has("shop@"+two, []signing.PublicKey{ann.Public()}))
	}
	require.NoError(t, os.WriteFile(path, []byte(`[{"image":`), 0o600))
	require.False(t, (&signing.Accepted{Path: path}).Has("shop@"+one, []signing.PublicKey{ann.Public()}))
}

func TestPodmansPolicy(t *testing.T) {
	required := signing.Requirements{"registry.example:5000": {"/a.pub"}, "registry.example:5000/shop": {"/b.pub", "/a.pub"}}
	current := `{"default": [{"type": "reject"}], "transports": {"docker": {"quay.io": [{"type": "insecureAcceptAnything"}]}, "docker-daemon": {"": [{"type": "insecureAcceptAnything"}]}}}`
	text, differs, first, err := signing.Policy([]byte(current), required, "5.8.1")
	require.NoError(t, err)
	require.True(t, differs)
	require.Empty(t, first)
	require.JSONEq(t, `{"default": [{"type": "reject"}], "transports": {
		"docker": {
			"quay.io": [{"type": "insecureAcceptAnything"}],
			"registry.example:5000": [{"type": "sigstoreSigned", "keyPath": "/a.pub", "signedIdentity": {"type": "matchRepository"}}],
			"registry.example:5000/shop": [{"type": "sigstoreSigned", "keyPaths": ["/b.pub", "/a.pub"], "signedIdentity": {"type": "matchRepository"}}]},
		"docker-daemon": {"": [{"type": "insecureAcceptAnything"}]}}}`, string(text))
	_, differs, _, err = signing.Policy(text, required, "5.8.1")
	require.NoError(t, err)
	require.False(t, differs, "the policy is in place")

	for version, old := range map[string]bool{"4.3.1": true, "5.2.9": true, "5.3.0": false, "10.0": false} {
		text, _, first, err = signing.Policy(nil, required, version)
		require.NoError(t, err)
		require.Equal(t, old, len(first) == 1, version)
		require.Equal(t, old, !strings.Contains(string(text), "keyPaths"), version)
	}
	for _, broken := range []string{"{", "null", `"x"`, `{"transports": []}`, `{"transports": {"docker": "x"}}`} {
		_, _, _, err = signing.Policy([]byte(broken), required, "5.8.1")
		require.ErrorContains(t, err, "not a policy of podman", broken)
	}
}
