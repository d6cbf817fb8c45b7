package servicedir_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// directory creates a directory with these files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func read(t *testing.T, dir string) *servicedir.Dir {
	t.Helper()
	d, err := servicedir.Read(dir)
	require.NoError(t, err)
	return d
}

func TestADirectoryGivesTheValidServicesAndTheProblems(t *testing.T) {
	dir := directory(t, map[string]string{
		"shop.toml":   servicedeftest.Minimal("shop", "api"),
		"blog.toml":   servicedeftest.Minimal("blog", "web"),
		"broken.toml": "name = ",
		"wrong.toml":  servicedeftest.Minimal("wrong", "Web"),
		"one.toml":    servicedeftest.Minimal("twin", "a"),
		"two.toml":    servicedeftest.Minimal("twin", "b"),
		".#blog.toml": "an editor's",
		"README.md":   "no definition",
	})
	services, found := read(t, dir).Services()
	require.Equal(t, []string{"blog", "shop"}, slices.Sorted(maps.Keys(services)))
	var got []string
	for _, p := range found {
		got = append(got, filepath.Base(p.File)+" "+p.Key)
	}
	require.Equal(t, []string{"broken.toml name", "one.toml name", "two.toml name", "wrong.toml components[0].name"}, got)
	require.Equal(t, filepath.Join(dir, "two.toml")+" also defines service twin", found[1].Message)

	services, found = read(t, directory(t, map[string]string{"shop.toml": servicedeftest.Minimal("shop", "api")})).Services()
	require.Empty(t, found)
	require.Len(t, services, 1)
}

func TestADirectoryThatDoesNotExist(t *testing.T) {
	_, err := servicedir.Read("/does/not/exist")
	require.EqualError(t, err, "the services directory /does/not/exist does not exist")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestFind(t *testing.T) {
	dir := directory(t, map[string]string{
		"shop.toml":    servicedeftest.Minimal("shop", "api"),
		"notes.toml":   servicedeftest.Minimal("blog", "web"),
		"broken.toml":  "name = ",
		"renamed.toml": servicedeftest.Minimal("wrong", "Web"),
		"one.toml":     servicedeftest.Minimal("twin", "a"),
		"two.toml":     servicedeftest.Minimal("twin", "B"),
	})
	t.Run("by the name in the file", func(t *testing.T) {
		s, err := read(t, dir).Find("blog")
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, "notes.toml"), s.File)
	})
	t.Run("a broken file that has the service's name", func(t *testing.T) {
		_, err := read(t, dir).Find("broken")
		require.ErrorContains(t, err, "broken.toml:1: name: is not TOML")
	})
	t.Run("a bad definition that names the service", func(t *testing.T) {
		_, err := read(t, dir).Find("wrong")
		var found servicedef.Errors
		require.ErrorAs(t, err, &found)
		require.Equal(t, "components[0].name", found[0].Key)
	})
	t.Run("a service that two files claim", func(t *testing.T) {
		_, err := read(t, dir).Find("twin")
		require.ErrorContains(t, err, "one.toml: name: "+filepath.Join(dir, "two.toml")+" also defines service twin")
	})
	t.Run("a service that is not there", func(t *testing.T) {
		_, err := read(t, dir).Find("shpo")
		var unknown *servicedir.NotFoundError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, &servicedir.NotFoundError{
			Name: "shpo", Dir: dir, Nearest: []string{"shop"}, Unreadable: []string{"broken.toml"},
		}, unknown)
		require.EqualError(t, err, "no file in "+dir+" defines service shpo (broken.toml cannot be read)")
	})
	t.Run("suggests only likely misspellings", func(t *testing.T) {
		for slip, want := range map[string][]string{
			"blogg": {"blog"}, "gblo": {"blog"}, "Blog": {"blog"}, "b": nil, "web": nil, "blog-of-others": nil,
		} {
			_, err := read(t, dir).Find(slip)
			var unknown *servicedir.NotFoundError
			require.ErrorAs(t, err, &unknown)
			require.Equal(t, want, unknown.Nearest, slip)
		}
	})
	t.Run("the name of a file of another service", func(t *testing.T) {
		_, err := read(t, dir).Find("notes")
		var unknown *servicedir.NotFoundError
		require.ErrorAs(t, err, &unknown)
	})
}

func TestCollisionsOfOneService(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.toml":      servicedeftest.Minimal("a", "b"),
		"ab.toml":     servicedeftest.Minimal("a-b", "a-b"),
		"x.toml":      servicedeftest.Minimal("x", "y-z"),
		"xy.toml":     servicedeftest.Minimal("x-y", "z"),
		"broken.toml": "name = ",
		"alone.toml":  servicedeftest.Minimal("alone", "web"),
	})
	for name, want := range map[string]string{"a": "service a-b", "a-b": "service a ", "alone": ""} {
		s, err := read(t, dir).Find(name)
		require.NoError(t, err)
		if err = read(t, dir).CollisionsOf(s); want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "x-y")
		require.Regexp(t, `^\S+/ab?\.toml:4: components\[0\]\.name: .* \(\S+/ab?\.toml:4\)$`, err.Error())
	}
}
