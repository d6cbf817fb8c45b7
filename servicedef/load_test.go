package servicedef_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

// definition is a sound one of one component.
func definition(service, component string) string {
	return "name = \"" + service + "\"\nnode = \"rift\"\n[[components]]\nname = \"" + component + "\"\nimage = \"a.example/x:1\"\n"
}

// directory makes one with these files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestLoad(t *testing.T) {
	dir := directory(t, map[string]string{"shop.toml": definition("shop", "api"), "bad.toml": "x = 1"})
	s, err := servicedef.Load(filepath.Join(dir, "shop.toml"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "shop.toml"), s.File)

	s, err = servicedef.Load(filepath.Join(dir, "bad.toml"))
	require.Nil(t, s)
	require.ErrorContains(t, err, filepath.Join(dir, "bad.toml")+":1: x: unknown key")
	_, err = servicedef.Load(filepath.Join(dir, "none.toml"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestLoadDirGivesTheSoundServicesAndTheProblems(t *testing.T) {
	dir := directory(t, map[string]string{
		"shop.toml":   definition("shop", "api"),
		"blog.toml":   definition("blog", "web"),
		"broken.toml": "name = ",
		"wrong.toml":  definition("wrong", "Web"),
		"one.toml":    definition("twin", "a"),
		"two.toml":    definition("twin", "b"),
		".#blog.toml": "an editor's",
		"README.md":   "no definition",
	})
	services, err := servicedef.LoadDir(dir)
	require.Equal(t, []string{"blog", "shop"}, slices.Sorted(maps.Keys(services)))
	var found servicedef.Errors
	require.ErrorAs(t, err, &found)
	var told []string
	for _, p := range found {
		told = append(told, filepath.Base(p.File)+" "+p.Key)
	}
	require.Equal(t, []string{"broken.toml name", "one.toml name", "two.toml name", "wrong.toml components[0].name"}, told)
	require.Equal(t, filepath.Join(dir, "two.toml")+" defines service twin too", found[1].Message)

	services, err = servicedef.LoadDir(directory(t, map[string]string{"shop.toml": definition("shop", "api")}))
	require.NoError(t, err)
	require.Len(t, services, 1)
}

func TestADirectoryThatDoesNotExist(t *testing.T) {
	const dir = "/does/not/exist"
	for name, look := range map[string]func() error{
		"LoadDir":      func() error { _, err := servicedef.LoadDir(dir); return err },
		"Find":         func() error { _, err := servicedef.Find(dir, "shop"); return err },
		"CollisionsOf": func() error { return servicedef.CollisionsOf(dir, &servicedef.Service{}) },
	} {
		t.Run(name, func(t *testing.T) {
			err := look()
			require.EqualError(t, err, "the services directory /does/not/exist does not exist")
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

func TestFind(t *testing.T) {
	dir := directory(t, map[string]string{
		"shop.toml":    definition("shop", "api"),
		"notes.toml":   definition("blog", "web"),
		"broken.toml":  "name = ",
		"renamed.toml": definition("wrong", "Web"),
		"one.toml":     definition("twin", "a"),
		"two.toml":     definition("twin", "B"),
	})
	t.Run("by the name in the file", func(t *testing.T) {
		s, err := servicedef.Find(dir, "blog")
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, "notes.toml"), s.File)
	})
	t.Run("a broken file that has the service's name", func(t *testing.T) {
		_, err := servicedef.Find(dir, "broken")
		require.ErrorContains(t, err, "broken.toml:1: name: is not TOML")
	})
	t.Run("a bad definition that names the service", func(t *testing.T) {
		_, err := servicedef.Find(dir, "wrong")
		var found servicedef.Errors
		require.ErrorAs(t, err, &found)
		require.Equal(t, "components[0].name", found[0].Key)
	})
	t.Run("a service that two files claim", func(t *testing.T) {
		_, err := servicedef.Find(dir, "twin")
		require.ErrorContains(t, err, "one.toml: name: "+filepath.Join(dir, "two.toml")+" defines service twin too")
	})
	t.Run("a service that is not there", func(t *testing.T) {
		_, err := servicedef.Find(dir, "shpo")
		var unknown *servicedef.NotFoundError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, &servicedef.NotFoundError{
			Name: "shpo", Dir: dir, Nearest: []string{"shop"}, Unreadable: []string{"broken.toml"},
		}, unknown)
		require.EqualError(t, err, "no file in "+dir+" defines service shpo (broken.toml cannot be read)")
	})
	t.Run("suggests only what may be a slip", func(t *testing.T) {
		for slip, want := range map[string][]string{
			"blogg": {"blog"}, "gblo": {"blog"}, "Blog": {"blog"}, "b": nil, "web": nil, "blog-of-others": nil,
		} {
			_, err := servicedef.Find(dir, slip)
			var unknown *servicedef.NotFoundError
			require.ErrorAs(t, err, &unknown)
			require.Equal(t, want, unknown.Nearest, slip)
		}
	})
	t.Run("the name of a file of another service", func(t *testing.T) {
		_, err := servicedef.Find(dir, "notes")
		var unknown *servicedef.NotFoundError
		require.ErrorAs(t, err, &unknown)
	})
}

func TestCollisions(t *testing.T) {
	load := func(text, file string) *servicedef.Service {
		s, err := servicedef.Parse([]byte(text), file)
		require.NoError(t, err)
		return s
	}
	a := load(definition("a", "b"), "a.toml")
	ab := load(definition("a-b", "a-b"), "ab.toml")
	require.EqualError(t, servicedef.Collisions([]*servicedef.Service{a, ab}),
		"ab.toml: components[0].name: component a-b of service a-b makes a container a-b on node rift, and so does component b of service a (a.toml)")
	require.NoError(t, servicedef.Collisions([]*servicedef.Service{a, load(definition("b", "a"), "b.toml")}))
	ab.Components[0].Node = "orion"
	require.NoError(t, servicedef.Collisions([]*servicedef.Service{a, ab}), "on another node")

	within := load(definition("a", "b"), "")
	within.Components = append(within.Components, within.Components[0])
	require.ErrorContains(t, servicedef.Collisions([]*servicedef.Service{within}), "component b of service a makes a container a-b")
}

func TestCollisionsOfOneService(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.toml":      definition("a", "b"),
		"ab.toml":     definition("a-b", "a-b"),
		"x.toml":      definition("x", "y-z"),
		"xy.toml":     definition("x-y", "z"),
		"broken.toml": "name = ",
		"alone.toml":  definition("alone", "web"),
	})
	for name, want := range map[string]string{"a": "service a-b", "a-b": "service a ", "alone": ""} {
		s, err := servicedef.Find(dir, name)
		require.NoError(t, err)
		if err = servicedef.CollisionsOf(dir, s); want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "x-y")
		require.Regexp(t, `^\S+/ab?\.toml:4: components\[0\]\.name: .* \(\S+/ab?\.toml:4\)$`, err.Error())
	}
}
