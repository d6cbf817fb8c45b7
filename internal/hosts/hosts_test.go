package hosts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/hosts"
)

func TestAMountedFileSeesEachChange(t *testing.T) {
	files := hosts.Files{Dir: t.TempDir()}
	require.NoError(t, files.Keep("shop", map[string]string{"a": "10.0.0.1 db\n", "b": "x\n"}))
	open, err := os.Open(files.Path("shop", "a")) // as a bind mount holds it
	require.NoError(t, err)
	defer open.Close()
	read := func() string {
		text := make([]byte, 64<<10)
		n, err := open.ReadAt(text, 0)
		require.ErrorContains(t, err, "EOF")
		require.Zero(t, n%4096)
		return strings.TrimRight(string(text[:n]), "\n")
	}
	require.Equal(t, "10.0.0.1 db", read())
	long := strings.Repeat("10.0.0.2 db\n", 1000)
	for _, text := range []string{"10.0.0.2 db\n", long, "short\n"} {
		require.NoError(t, files.Keep("shop", map[string]string{"a": text, "b": "x\n"}))
		require.Equal(t, strings.TrimRight(text, "\n"), read())
	}
}

// A resolver such as Go's reads the file again when its time of modification is another
// than when it has read it.
func TestAProgramThatCachesTheTextReadsEachChange(t *testing.T) {
	files := hosts.Files{Dir: t.TempDir()}
	text := func(n int) string { return fmt.Sprintf("10.0.0.%d db\n", n) }
	keep := func(n int) { require.NoError(t, files.Keep("shop", map[string]string{"a": text(n)})) }
	keep(0)
	modified := func() time.Time {
		info, err := os.Stat(files.Path("shop", "a"))
		require.NoError(t, err)
		return info.ModTime()
	}
	var mu sync.Mutex
	cached := map[time.Time]string{} // what a program has read that found this time first
	read := func() error {
		info, err := os.Stat(files.Path("shop", "a"))
		if err != nil {
			return err
		}
		text, err := os.ReadFile(files.Path("shop", "a"))
		mu.Lock()
		defer mu.Unlock()
		if _, known := cached[info.ModTime()]; !known {
			cached[info.ModTime()] = strings.TrimRight(string(text), "\n") + "\n"
		}
		return err
	}
	var reading sync.WaitGroup
	var ended atomic.Bool
	defer func() {
		ended.Store(true)
		reading.Wait()
	}()
	for range 4 {
		reading.Go(func() {
			for !ended.Load() && assert.NoError(t, read()) {
			}
		})
	}
	for n := 1; n <= 300; n++ {
		keep(n)
		at := modified()
		mu.Lock()
		former, known := cached[at]
		mu.Unlock()
		if known {
			require.Equal(t, text(n), former, "a program would keep what the file had before change %d", n)
		}
	}
}

func TestKeepRemovesTheFilesOfOtherContainers(t *testing.T) {
	files := hosts.Files{Dir: t.TempDir()}
	require.NoError(t, files.Keep("shop", map[string]string{"a": "", "b": ""}))
	require.NoError(t, files.Keep("blog", map[string]string{"c": ""}))
	require.NoError(t, files.Mark("shop", "a"))
	require.NoError(t, files.Mark("shop", "b"))
	require.NoError(t, files.Keep("shop", map[string]string{"b": ""}))
	require.False(t, files.Has("shop", "a"))
	require.False(t, files.Marked("shop", "a"))
	require.True(t, files.Has("shop", "b"))
	require.True(t, files.Marked("shop", "b"))
	require.NoError(t, files.Keep("shop", nil))
	require.NoDirExists(t, filepath.Join(files.Dir, "shop"))
	require.True(t, files.Has("blog", "c"))
}

func TestNamesThatLeaveTheDirectoryAreRefused(t *testing.T) {
	outside := t.TempDir()
	files := hosts.Files{Dir: filepath.Join(outside, "names")}
	for _, name := range []string{"", ".", "..", "../x", "/etc", "a/b"} {
		require.Equal(t, fault.Invalid, fault.Of(files.Keep(name, map[string]string{"a": ""})).Kind, name)
		require.Equal(t, fault.Invalid, fault.Of(files.Keep("shop", map[string]string{name: ""})).Kind, name)
		require.Equal(t, fault.Invalid, fault.Of(files.Mark("shop", name)).Kind, name)
	}
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestADirectoryThatCannotBeWrittenIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	err := hosts.Files{Dir: file}.Keep("shop", map[string]string{"a": ""})
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind)
	require.Contains(t, fault.Of(err).Hint, "[node] data")
}
