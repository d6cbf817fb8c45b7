package imageref_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/docker/reference"

	"github.com/metacircular/mcp/internal/imageref"
)

var sha256 = "sha256:" + strings.Repeat("0a", 32)

var names = []string{
	"registry.example/team/app:v1", "registry.example:5000/app", "localhost/app:v1", "localhost:5000/app:v1",
	"127.0.0.1:5000/a/b/c:1", "shop", "shop:v1", "team/app:v1", "docker.io/postgres:17", "index.docker.io/postgres:17",
	"docker.io/library/postgres:17", "a.b/c@" + sha256, "a.b/c:v1@" + sha256, "A.B/c:1", "a.b/c:V1.2-x_y",
	"a.b/c__d:1", "a.b/c---d:1", "a.b/c.d_e-f:1", "x-y.z:80/c", "a.b/c:" + strings.Repeat("t", 128),
	"a.b/c@sha512:" + strings.Repeat("0a", 64), "a.b/" + strings.Repeat("c", 251), sha256[7:] + ":v1",

	"", "/", ":", "@", "a.b/", "a.b/:1", "a.b/c:", "a.b/c@", "a.b//c:1", "/c:1", "a.b/C:1", "A/b:1", "UPPER/case::x",
	"a.b/c::1", "a.b/c:1:2", "a.b/c:-1", "a.b/c:.1", "a.b/c___d:1", "a.b/c..d:1", "a.b/-c:1", "a.b/c-:1", "a.b/c d:1",
	"-a.b/c:1", "a..b/c:1", "a.b:x/c:1", "a.b:/c", "https://a.b/c:1", "a.b/c:" + strings.Repeat("t", 129), "a.b/" + strings.Repeat("c", 252),
	"a.b/c@sha256:0a", "a.b/c@md5:" + strings.Repeat("0a", 16), "a.b/c@" + sha256 + ":v1", "a.b/c@" + strings.ToUpper(sha256),
	"a.b/c@sha256:" + strings.Repeat("0A", 32), sha256, sha256[7:], "a.b/ü:1", "a.b/c:ü", "ü.b/c:1", "a.b/c:1\n", "[::1]:5000/c:1",
}

// check compares Parse with podman's own parser.
func check(t *testing.T, text string) {
	t.Helper()
	want, refused := reference.ParseNormalizedNamed(text)
	ref, err := imageref.Parse(text)
	require.Equal(t, refused == nil, err == nil, "%q: podman: %v; here: %v", text, refused, err)
	if refused != nil {
		return
	}
	require.Equal(t, want.String(), ref.String())
	require.Equal(t, want.Name(), ref.Name())
	require.Equal(t, reference.Domain(want), ref.Registry)
	require.Equal(t, reference.Path(want), ref.Repository)
	if tagged, ok := want.(reference.Tagged); ok {
		require.Equal(t, tagged.Tag(), ref.Tag)
	}
	if digested, ok := want.(reference.Digested); ok {
		require.Equal(t, string(digested.Digest()), ref.Digest)
	}
}

func TestParse(t *testing.T) {
	for _, text := range names {
		check(t, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range names {
		f.Add(text)
	}
	f.Fuzz(check)
}

func TestParseNamesTheMistake(t *testing.T) {
	for text, want := range map[string]string{
		"a.b/Shop:1":                      `repository "Shop" is not in lower case`,
		"a.b/c::1":                        "HOST/REPOSITORY:TAG",
		"a.b/c@sha256:0a":                 `digest "sha256:0a"`,
		sha256[7:]:                        "the ID of an image",
		"a.b/" + strings.Repeat("c", 252): "more than 255",
	} {
		_, err := imageref.Parse(text)
		require.ErrorContains(t, err, want)
	}
}
