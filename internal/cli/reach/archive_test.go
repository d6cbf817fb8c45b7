package reach_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/reach"
	"github.com/metacircular/mcp/internal/fault"
)

// tree makes a directory with files and links.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conf")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "deep", "empty"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), bytes.Repeat([]byte{0}, 3000), 0o640))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "deep", "b"), []byte("text"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "none"), nil, 0o600))
	require.NoError(t, os.Symlink("deep/b", filepath.Join(dir, "link")))
	return dir
}

func pack(t *testing.T, from string) []byte {
	t.Helper()
	var archive bytes.Buffer
	require.NoError(t, reach.Pack(from, "", nil, &archive))
	return archive.Bytes()
}

// What is packed is unpacked as it was, in a directory that exists, or with another name.
func TestPackAndUnpack(t *testing.T) {
	archive := pack(t, tree(t))
	within, named := t.TempDir(), filepath.Join(t.TempDir(), "other")
	for to, top := range map[string]string{within: filepath.Join(within, "conf"), named: named} {
		files, size, err := reach.Unpack(bytes.NewReader(archive), to)
		require.NoError(t, err)
		require.Equal(t, []int64{3, 3004}, []int64{int64(files), size})
		text, err := os.ReadFile(filepath.Join(top, "link"))
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
		info, err := os.Stat(filepath.Join(top, "a"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o640), info.Mode())
		require.DirExists(t, filepath.Join(top, "deep", "empty"))
		_, _, err = reach.Unpack(bytes.NewReader(archive), to) // over what is there
		if to == within {
			require.NoError(t, err)
		}
	}
	_, _, err := reach.Unpack(bytes.NewReader(archive), filepath.Join(within, "none")+"/")
	require.True(t, fault.Is(err, fault.NotFound), err)
}

// An archive that is cut anywhere is an error, also between two files and where its bytes
// are zero.
func TestACutArchive(t *testing.T) {
	archive := pack(t, tree(t))
	whole := len(archive)
	for cut := 0; cut < whole; cut += 256 {
		_, _, err := reach.Unpack(bytes.NewReader(archive[:cut]), t.TempDir())
		require.Error(t, err, "%d bytes of %d", cut, whole)
	}
}

// An archive of a container writes nothing outside of the directory that it gets.
func TestAHostileArchive(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"a path up":         {{Name: "../../outside", Typeflag: tar.TypeReg, Size: 1}},
		"a whole path":      {{Name: "/outside", Typeflag: tar.TypeReg, Size: 1}},
		"a link up":         {{Name: "x/out", Typeflag: tar.TypeSymlink, Linkname: "../../.."}, {Name: "x/out/outside", Typeflag: tar.TypeReg, Size: 1}},
		"a link to /":       {{Name: "x/out", Typeflag: tar.TypeSymlink, Linkname: "/"}, {Name: "x/out/outside", Typeflag: tar.TypeReg, Size: 1}},
		"a second name":     {{Name: "x/out", Typeflag: tar.TypeLink, Linkname: "../../../etc/passwd"}},
		"a device":          {{Name: "x/zero", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}},
		"a pipe":            {{Name: "x/pipe", Typeflag: tar.TypeFifo}},
		"a file as a place": {{Name: "x", Typeflag: tar.TypeReg, Size: 1}, {Name: "x/out", Typeflag: tar.TypeReg, Size: 1}},
	} {
		var archive bytes.Buffer
		to := tar.NewWriter(&archive)
		for _, h := range entries {
			h.Mode = 0o4755
			require.NoError(t, to.WriteHeader(&h))
			_, err := io.CopyN(to, strings.NewReader("x"), h.Size)
			require.NoError(t, err)
		}
		require.NoError(t, to.Close())
		outer := t.TempDir()
		dir := filepath.Join(outer, "in", "here")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		_, _, _ = reach.Unpack(&archive, dir) // an error or not
		require.NoFileExists(t, filepath.Join(outer, "outside"), name)
		require.NoFileExists(t, "/outside", name)
		found, err := os.ReadDir(outer)
		require.NoError(t, err)
		require.Len(t, found, 1, name)
		_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			require.NoError(t, err)
			require.Zero(t, info.Mode()&(os.ModeDevice|os.ModeNamedPipe|os.ModeSetuid), "%s: %s", name, path)
			return nil
		})
	}
}

// With "-" a file is standard input or output.
func TestStandardStreams(t *testing.T) {
	var archive, out bytes.Buffer
	require.NoError(t, reach.Pack("-", "there", strings.NewReader("content"), &archive))
	whole := archive.Bytes()
	require.NoError(t, reach.Show(bytes.NewReader(whole), &out))
	require.Equal(t, "content", out.String())
	require.Error(t, reach.Show(bytes.NewReader(whole[:1024]), io.Discard))
	require.True(t, fault.Is(reach.Show(bytes.NewReader(pack(t, tree(t))), io.Discard), fault.Invalid))
}

func TestArguments(t *testing.T) {
	for text, want := range map[string][2]int{"80": {80, 80}, "8080:80": {8080, 80}, "0:80": {0, 80}} {
		local, port, err := reach.ParsePair(text)
		require.NoError(t, err)
		require.Equal(t, want, [2]int{local, port})
	}
	for _, text := range []string{"", "0", ":", "80:", ":80", "80:0", "65536", "1:65536", "-1:80", "a", "1:2:3"} {
		_, _, err := reach.ParsePair(text)
		require.True(t, fault.Is(err, fault.Invalid), text)
	}
	for text, want := range map[string][2]string{"shop/api:/etc": {"shop/api", "/etc"}, "shop:/a:b": {"shop", "/a:b"}} {
		target, path, ok := reach.ContainerPath(text)
		require.True(t, ok)
		require.Equal(t, want, [2]string{target, path})
	}
	for _, text := range []string{"", "shop/api", "./shop:/etc", "/shop:/etc", "shop:etc", "-"} {
		_, _, ok := reach.ContainerPath(text)
		require.False(t, ok, text)
	}
}
