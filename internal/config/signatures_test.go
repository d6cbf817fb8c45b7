package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
)

func TestRequiredSignatures(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mcp.toml")
	load := func(text string, env map[string]string) (*config.Config, error) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return config.Load(file, func(name string) string { return env[name] })
	}
	c, err := load("[image_registry.require_signature]\n\"registry.example:5000\" = [\"a.pub\", \"/keys/b.pub\"]\n\"quay.io/team\" = [\"a.pub\"]\n", nil)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{
		"registry.example:5000": {filepath.Join(dir, "a.pub"), "/keys/b.pub"}, "quay.io/team": {filepath.Join(dir, "a.pub")},
	}, c.ImageRegistry.RequireSignature)
	settings, err := c.Settings()
	require.NoError(t, err)
	require.Contains(t, settings, config.Setting{
		Key:    "image_registry.require_signature",
		Value:  "quay.io/team=" + dir + "/a.pub registry.example:5000=" + dir + "/a.pub:/keys/b.pub",
		Source: config.FromFile,
	})

	c, err = load("", map[string]string{"MCP_IMAGE_REGISTRY_REQUIRE_SIGNATURE": "registry.example:5000=/a.pub:/b.pub,quay.io=/a.pub"})
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"registry.example:5000": {"/a.pub", "/b.pub"}, "quay.io": {"/a.pub"}}, c.ImageRegistry.RequireSignature)

	for text, want := range map[string]string{
		`"registry" = ["a.pub"]`:                 "must begin with the host",
		`"" = ["a.pub"]`:                         "must begin with the host",
		`"index.docker.io" = ["a.pub"]`:          "must be written as docker.io",
		`"registry.example/" = ["a.pub"]`:        "must not end with a slash",
		`"registry.example/shop:v1" = ["a.pub"]`: "without tag and digest",
		`"https://registry.example" = ["a.pub"]`: "image registry",
		`"registry.example/Shop" = ["a.pub"]`:    "lower case",
		`"registry.example" = []`:                "must list files",
		`"registry.example" = [""]`:              "must list files",
		`"registry.example" = "a.pub"`:           "cannot decode",
	} {
		_, err := load("[image_registry.require_signature]\n"+text+"\n", nil)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, file, text)
	}
	_, err = load("", map[string]string{"MCP_IMAGE_REGISTRY_REQUIRE_SIGNATURE": "registry.example"})
	require.ErrorContains(t, err, "MCP_IMAGE_REGISTRY_REQUIRE_SIGNATURE")
}

func TestSigningPassphrase(t *testing.T) {
	dir := t.TempDir()
	key, passphrase, file := filepath.Join(dir, "cosign.key"), filepath.Join(dir, "passphrase"), filepath.Join(dir, "mcp.toml")
	for path, text := range map[string]string{key: "key", passphrase: "open sesame\n", file: ""} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	env := map[string]string{"MCP_BUILD_SIGNING_KEY_FILE": key, "COSIGN_PASSWORD": "from the environment"}
	read := func() (string, error) {
		c, err := config.Load(file, func(name string) string { return env[name] })
		require.NoError(t, err)
		text, err := c.SigningPassphrase()
		return string(text), err
	}
	got, err := read()
	require.NoError(t, err)
	require.Equal(t, "from the environment", got)
	env["MCP_BUILD_SIGNING_PASSPHRASE_FILE"] = passphrase
	got, err = read()
	require.NoError(t, err)
	require.Equal(t, "open sesame", got)
	for _, path := range []string{key, passphrase} {
		require.NoError(t, os.Chmod(path, 0o640))
		_, err = read()
		require.ErrorContains(t, err, path)
		require.NoError(t, os.Chmod(path, 0o600))
	}
	delete(env, "MCP_BUILD_SIGNING_KEY_FILE")
	_, err = config.Load(file, func(name string) string { return env[name] })
	require.ErrorContains(t, err, "build.signing_passphrase_file: needs build.signing_key_file")
}
