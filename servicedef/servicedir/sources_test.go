package servicedir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef/servicedeftest"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

const sourced = servicedeftest.Sources

func complete() map[string]string {
	return map[string]string{
		"shop/shared.env": "A=shared\nB=shared\nC=shared\nD=shared\nE=shared\nPORT=1\n", "shop/web.env": "A=web\nB=web\n",
		"shop/conf/web.conf": "listen 80;\n", "shop/web.bin": "\x00\xff",
	}
}

func TestADirectoryReadsTheSourcesOfEach(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "good.toml"), []byte(strings.Replace(sourced, `"shop"`, `"good"`, 1)), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "bad.toml"), []byte(strings.Replace(sourced, `"shop"`, `"bad"`, 1)+"env_file = \"none\"\n"), 0o644))
	workspace := t.TempDir()
	for name, content := range complete() {
		path := filepath.Join(workspace, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	dir, err := servicedir.Read(root)
	require.NoError(t, err)
	services, problems := dir.WithSources(workspace).Services()
	require.Len(t, problems, 1)
	require.Contains(t, problems.Error(), "bad.toml")
	require.Equal(t, "shared", services["good"].Components[1].Env["A"])
	_, err = dir.WithSources(workspace).Find("bad")
	require.Error(t, err)
	require.False(t, errors.As(err, new(*servicedir.NotFoundError)))
}
