package podman_test

import (
	"archive/tar"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
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

// copied builds an image of a whole context and returns the files in it by name.
func copied(t *testing.T, engine *podman.Engine, socket, dir, containerfile string) map[string]*tar.Header {
	t.Helper()
	_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/copied:v1", Context: dir, Containerfile: containerfile})
	require.NoError(t, err)
	_, err = engine.Run(t.Context(), runtime.ContainerSpec{Name: "copied", Image: "localhost/copied:v1", Network: "none"})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Remove(t.Context(), "copied")) }()
	response, err := clientOf(socket).Get("http://podman/v4.0.0/libpod/containers/copied/archive?path=/context")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	found := map[string]*tar.Header{}
	for archive := tar.NewReader(response.Body); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		if name := strings.Trim(strings.TrimPrefix(header.Name, "context"), "/"); name != "" {
			found[name] = header
		}
	}
}

func namesOf(found map[string]*tar.Header) []string {
	var names []string
	for name := range found {
		names = append(names, name)
	}
	return names
}

func TestFilesOfABuild(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	const copyAll = "FROM localhost/app:v1\nCOPY . /context\n"

	t.Run("files keep their modes, links remain links, and root owns everything", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, map[string]string{"Containerfile": copyAll, "dir/script.sh": "#!/bin/sh\n", "dir/twice": "one inode"})
		require.NoError(t, os.Chmod(filepath.Join(dir, "dir/script.sh"), 0o750))
		require.NoError(t, os.Chown(filepath.Join(dir, "dir/script.sh"), 1234, 1234))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
		require.NoError(t, os.Symlink("dir/script.sh", filepath.Join(dir, "link")))
		require.NoError(t, os.Symlink("/nowhere", filepath.Join(dir, "dangling")))
		require.NoError(t, os.Link(filepath.Join(dir, "dir/twice"), filepath.Join(dir, "again")))
		found := copied(t, engine, service.Socket(), dir, filepath.Join(dir, "Containerfile"))
		require.ElementsMatch(t, []string{
			"Containerfile", "again", "dangling", "dir", "dir/script.sh", "dir/twice", "empty", "link",
		}, namesOf(found))
		require.EqualValues(t, 0o750, found["dir/script.sh"].Mode&0o777)
		require.EqualValues(t, 0o700, found["empty"].Mode&0o777)
		require.Equal(t, "dir/script.sh", found["link"].Linkname)
		require.Equal(t, "/nowhere", found["dangling"].Linkname)
		for name, header := range found {
			require.Zero(t, header.Uid, name)
			require.Zero(t, header.Gid, name)
		}
	})

	t.Run("an ignore file excludes what it lists, wherever the Containerfile is", func(t *testing.T) {
		elsewhere := filepath.Join(t.TempDir(), "Built.from")
		require.NoError(t, os.WriteFile(elsewhere, []byte(copyAll), 0o600))
		for ignoreFile, containerfile := range map[string]string{
			".containerignore":     elsewhere,
			".dockerignore":        "Containerfile",
			"Own.containerignore":  "Own",
			"sub/Own.dockerignore": "sub/Own",
		} {
			t.Run(ignoreFile, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, map[string]string{
					ignoreFile: "# not needed\n*.log\n**/secret\n\n!kept.log\nsub\n!sub/kept\n",
					"a.log":    "", "kept.log": "", "deep/secret": "", "deep/open": "", "sub/kept": "", "sub/lost": "",
				})
				if !filepath.IsAbs(containerfile) {
					write(t, dir, map[string]string{containerfile: copyAll})
					containerfile = filepath.Join(dir, containerfile)
				}
				names := namesOf(copied(t, engine, service.Socket(), dir, containerfile))
				require.Subset(t, names, []string{"kept.log", "deep/open", "sub/kept"})
				for _, lost := range []string{"a.log", "deep/secret", "sub/lost"} {
					require.NotContains(t, names, lost)
				}
			})
		}
	})

	t.Run("the ignore file of a Containerfile that is a link belongs to the link's name", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, map[string]string{
			"docker/common": copyAll, "Containerfile.dockerignore": ".env\ndocker\n", ".env": "secret", "kept": "",
		})
		require.NoError(t, os.Symlink("docker/common", filepath.Join(dir, "Containerfile")))
		names := namesOf(copied(t, engine, service.Socket(), dir, filepath.Join(dir, "Containerfile")))
		require.Contains(t, names, "kept")
		require.NotContains(t, names, ".env")
		require.NotContains(t, names, "docker/common")
	})

	t.Run("the ignore file of a Containerfile precedes that of the context", func(t *testing.T) {
		for general, own := range map[string]string{".dockerignore": "Own.dockerignore", ".containerignore": "Own.containerignore"} {
			t.Run(own, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, map[string]string{
					"Own": copyAll, "Other": copyAll, general: "*\n!api\n", own: "*\n!web\n", ".env": "secret", "api/a": "", "web/w": "",
				})
				require.ElementsMatch(t, []string{"web", "web/w"}, namesOf(copied(t, engine, service.Socket(), dir, filepath.Join(dir, "Own"))))
				require.ElementsMatch(t, []string{"api", "api/a"}, namesOf(copied(t, engine, service.Socket(), dir, filepath.Join(dir, "Other"))))
			})
		}
	})

	t.Run("an ignore file that cannot be read is Invalid, and nothing is sent", func(t *testing.T) {
		outside := filepath.Join(t.TempDir(), "ignored")
		require.NoError(t, os.WriteFile(outside, []byte("secret\n"), 0o600))
		for name, make := range map[string]func(t *testing.T, path string) error{
			"an invalid pattern":        func(_ *testing.T, path string) error { return os.WriteFile(path, []byte("[\n"), 0o600) },
			"a link out of the context": func(_ *testing.T, path string) error { return os.Symlink(outside, path) },
			"a directory":               func(_ *testing.T, path string) error { return os.Mkdir(path, 0o700) },
		} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, map[string]string{"Containerfile": copyAll})
				require.NoError(t, make(t, filepath.Join(dir, ".dockerignore")))
				_, err := engine.Build(t.Context(), runtime.BuildSpec{
					Tag: "localhost/refused:v1", Context: dir, Containerfile: filepath.Join(dir, "Containerfile"),
				})
				require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
				here, err := engine.ImageExists(t.Context(), "localhost/refused:v1")
				require.NoError(t, err)
				require.False(t, here)
			})
		}
	})

	t.Run("a file that is longer than its size is Invalid, and the error names it", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "Containerfile")
		require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY . /\n"), 0o600))
		_, err := engine.Build(t.Context(), runtime.BuildSpec{
			Tag: "localhost/unread:v1", Context: "/proc/sys/kernel/random", Containerfile: file,
		})
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, err)
		require.ErrorContains(t, err, "/proc/sys/kernel/random/")
	})
}
