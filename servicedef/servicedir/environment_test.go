package servicedir_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
)

const settings = servicedeftest.Environments

func TestADirectoryFindsEnvironments(t *testing.T) {
	d := read(t, directory(t, map[string]string{"shop.toml": settings, "blog.toml": servicedeftest.Minimal("blog", "web")}))
	s, err := d.FindIn("shop", "staging")
	require.NoError(t, err)
	require.Equal(t, "shop-staging", s.Name)
	s, err = d.Find("shop-staging")
	require.NoError(t, err)
	require.Equal(t, "orion", s.Node)
	_, err = d.FindIn("shop", "stagin")
	require.EqualError(t, err, "service shop has no environment stagin: it has staging, test")
	_, err = d.FindIn("blog", "staging")
	require.EqualError(t, err, "service blog has no environment staging: [env.staging] would define it")
	_, err = d.FindIn("shop-staging", "test")
	require.Error(t, err)
	services, err := d.Environment("staging")
	require.NoError(t, err)
	require.Len(t, services, 1)
	_, err = d.Environment("prod")
	require.EqualError(t, err, "no definition has the environment prod: they have staging, test")
	base, found := d.Services()
	require.Empty(t, found)
	require.Len(t, base, 2)
}

func TestAnEnvironmentCannotHaveTheNameOfAService(t *testing.T) {
	dir := directory(t, map[string]string{"shop.toml": settings, "other.toml": servicedeftest.Minimal("shop-staging", "web")})
	d := read(t, dir)
	for _, find := range []func() (*servicedef.Service, error){
		func() (*servicedef.Service, error) { return d.Find("shop-staging") },
		func() (*servicedef.Service, error) { return d.FindIn("shop", "staging") },
	} {
		_, err := find()
		require.ErrorContains(t, err, "also defines service shop-staging")
	}
	_, found := d.Services()
	require.Len(t, found, 2)
	require.Equal(t, "env.staging", found[1].Key)
	require.Equal(t, filepath.Join(dir, "other.toml")+" also defines service shop-staging", found[1].Message)
}
