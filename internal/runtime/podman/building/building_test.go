package building_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/building"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// write writes files, given by name and content, below a directory.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
}

// contents returns the regular files of an archive.
func contents(t *testing.T, from io.Reader) map[string]string {
	t.Helper()
	found := map[string]string{}
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		require.Zero(t, header.Uid+header.Gid, header.Name)
		if header.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(archive)
			require.NoError(t, err)
			found[header.Name] = string(text)
		}
	}
}

func TestTheRequestOfABuild(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "Containerfile")
	require.NoError(t, os.WriteFile(outside, []byte("FROM scratch\n"), 0o600))
	write(t, dir, map[string]string{".dockerignore": "*.log\n!kept.log\n", "a.log": "a", "kept.log": "k", "deep/b": "b", "deep/no": "n"})
	spec := runtime.BuildSpec{
		Tag: "localhost/x:v1", Context: dir, Containerfile: outside, Secrets: map[string][]byte{"token": []byte("hush")},
		Only: func(path string) bool { return path != "deep/no" },
	}
	require.NoError(t, building.Check(spec))
	mark := marks.NewBuild()
	sources, err := building.Open(spec, mark)
	require.NoError(t, err)
	query := sources.Query()
	require.Equal(t, `["`+outside+`"]`, query.Get("dockerfile"))
	require.Equal(t, `["`+mark.Host()+`"]`, query.Get("extrahosts"))
	require.Equal(t, `["id=token,src=`+mark.Secret("token")+`"]`, query.Get("secrets"))
	archive := sources.Tar()
	require.Equal(t, map[string]string{
		".dockerignore": "*.log\n!kept.log\n", "kept.log": "k", "deep/b": "b",
		mark.Secret("token"): "hush", outside: "FROM scratch\n",
	}, contents(t, archive))
	require.NoError(t, archive.End())

	unread := sources.Tar()
	require.NoError(t, unread.End(), "podman need not read all of it")
	spec.Context = filepath.Join(dir, "none")
	require.Equal(t, fault.Invalid, fault.Of(building.Check(spec)).Kind)
}

func TestParametersOfEachVersionOfPodman(t *testing.T) {
	sources, images := map[string][]string{}, map[string]string{"app": "localhost/app:v1"}
	building.AddContexts(sources, "podman 5.6.0", images)
	require.Equal(t, []string{"app=image:localhost/app:v1"}, sources["additionalbuildcontexts"])
	building.AddContexts(sources, "podman 4.3.1", images)
	require.Equal(t, []string{`{"app":{"IsImage":true,"Value":"localhost/app:v1"}}`}, sources["additionalbuildcontexts"])
	spec := runtime.BuildSpec{Tag: "x", CacheFrom: []string{"r/a"}}
	require.NoError(t, building.AddCaches(sources, spec, "podman 4.3.1"))
	require.Equal(t, []string{"r/a"}, sources["cachefrom"])
	require.NoError(t, building.AddCaches(sources, spec, "podman 4.4.0"))
	require.Equal(t, []string{`["r/a"]`}, sources["cachefrom"])
	spec.CacheFrom = []string{"r/a", "r/b"}
	require.Equal(t, fault.Invalid, fault.Of(building.AddCaches(sources, spec, "podman 4.3.1")).Kind)
}

func TestTheArchiveOfANamedContext(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "1", "deep/b": "2", "deep/no": "3"})
	archive := building.ContextTar(runtime.BuildContext{Dir: dir, Only: func(path string) bool { return path != "deep/no" }})
	require.Equal(t, map[string]string{"Containerfile": "FROM scratch\nCOPY context/ /\n", "context/a": "1", "context/deep/b": "2"}, contents(t, archive))
	require.NoError(t, archive.Close())
	archive = building.ContextTar(runtime.BuildContext{Dir: filepath.Join(dir, "none")})
	_, err := io.ReadAll(archive)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheOutputOfABuild(t *testing.T) {
	var shown strings.Builder
	output := building.NewOutput(&shown, map[string][]byte{"token": []byte("hushhush\n")})
	output.Report("STEP 1/2: FROM scratch\n")
	require.False(t, output.Running())
	output.Report("STEP 2/2: RUN make\nit is hush")
	require.True(t, output.Running())
	output.Report("hush\nCOPPY &imagebuilder.Step{Env:[]}\nlast")
	output.End()
	require.Equal(t, "STEP 1/2: FROM scratch\nSTEP 2/2: RUN make\nit is [secret]\nCOPPY &imagebuilder.Step{Env:[]}\nlast", shown.String())
	require.Equal(t, "STEP 2/2: RUN make", output.Step())
	require.Equal(t, []string{"STEP 1/2: FROM scratch", "STEP 2/2: RUN make", "it is [secret]"}, output.Log())
	require.Empty(t, output.Image())
	output.Report("0123456789ab\n")
	require.Equal(t, "0123456789ab", output.Image())
}

func TestPlatformTags(t *testing.T) {
	require.Equal(t, "localhost/x:v1_linux_arm64_v8", building.PlatformTag("localhost/x:v1", "linux/arm64/v8"))
	require.True(t, building.IsPlatformTag("localhost/x:v1_linux_arm64_v8", "localhost/x:v1"))
	require.False(t, building.IsPlatformTag("localhost/x:v1_rc1", "localhost/x:v1"))
}
