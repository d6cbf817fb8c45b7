package servicedef_test

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedeftest"
)

func TestLoad(t *testing.T) {
	dir := directory(t, map[string]string{"shop.toml": servicedeftest.Minimal("shop", "api"), "bad.toml": "x = 1"})
	s, err := servicedef.Load(filepath.Join(dir, "shop.toml"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "shop.toml"), s.File)

	s, err = servicedef.Load(filepath.Join(dir, "bad.toml"))
	require.Nil(t, s)
	require.ErrorContains(t, err, filepath.Join(dir, "bad.toml")+":1: x: unknown key")
	_, err = servicedef.Load(filepath.Join(dir, "none.toml"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
