package access_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/access"
	"github.com/metacircular/mcp/internal/fleet"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, dir string, size int64) *access.Logs {
	t.Helper()
	logs, err := access.Open(dir, size)
	require.NoError(t, err)
	t.Cleanup(logs.Close)
	return logs
}

// read returns the paths of the lines read.
func read(t *testing.T, logs *access.Logs, tail int, since time.Time) []string {
	t.Helper()
	lines, err := logs.Read(t.Context(), "shop", tail, since)
	require.NoError(t, err)
	var paths []string
	for _, line := range lines {
		var a fleet.Access
		require.NoError(t, json.Unmarshal([]byte(line), &a), line)
		paths = append(paths, a.Path)
	}
	return paths
}

func TestALineIsTheAccess(t *testing.T) {
	logs := open(t, t.TempDir(), 0)
	for _, want := range []fleet.Access{
		{Time: began, Protocol: "tcp", Client: "::1"},
		{Time: began, Route: "rest", Endpoint: "shop.example:443/api", Protocol: "HTTP/2.0", Client: "192.0.2.1", Method: "GET", Host: "shop.example",
			Path: "/a\"b\\c\nü\x00", Status: 200, Received: 1, Sent: 1 << 40, Upstream: "127.0.0.1:1", DurationMS: 1.125, Error: "no <answer>"},
	} {
		logs.Log("shop", want)
		lines, err := logs.Read(t.Context(), "shop", 1, time.Time{})
		require.NoError(t, err)
		require.Len(t, lines, 1)
		var got fleet.Access
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &got), lines[0])
		require.Equal(t, want, got)
	}

	t.Run("a long path is cut", func(t *testing.T) {
		logs.Log("shop", fleet.Access{Time: began, Path: strings.Repeat("ü", 1<<20)})
		lines, err := logs.Read(t.Context(), "shop", 1, time.Time{})
		require.NoError(t, err)
		require.Less(t, len(lines[0]), 16<<10)
		require.True(t, json.Valid([]byte(lines[0])))
	})
}

func TestReadReturnsTheLastLines(t *testing.T) {
	dir := t.TempDir()
	logs := open(t, dir, 0)
	require.Empty(t, read(t, logs, 5, time.Time{}))
	const n = 2000 // several blocks of the file
	var all []string
	for i := range n {
		path := fmt.Sprintf("/%d", i)
		all = append(all, path)
		logs.Log("shop", fleet.Access{Time: began.Add(time.Duration(i) * time.Second), Protocol: "HTTP/1.1", Client: "192.0.2.1", Path: path})
		logs.Log("other", fleet.Access{Time: began})
	}
	require.Equal(t, all[n-3:], read(t, logs, 3, time.Time{}))
	require.Equal(t, all, read(t, logs, n+1, time.Time{}))
	require.Equal(t, all[1500:], read(t, logs, n, began.Add(1499*time.Second)))
	require.Empty(t, read(t, logs, n, began.Add(n*time.Second)))
	require.Empty(t, read(t, logs, 0, time.Time{}))

	t.Run("and those of the process before", func(t *testing.T) {
		logs.Close()
		again := open(t, dir, 0)
		again.Log("shop", fleet.Access{Time: began.Add(n * time.Second), Path: "/new"})
		require.Equal(t, []string{"/1999", "/new"}, read(t, again, 2, time.Time{}))
	})
}

func TestALogIsBounded(t *testing.T) {
	dir := t.TempDir()
	logs := open(t, dir, 4<<10)
	for i := range 500 {
		logs.Log("shop", fleet.Access{Time: began.Add(time.Duration(i) * time.Second), Path: fmt.Sprintf("/%d", i)})
		require.Equal(t, fmt.Sprintf("/%d", i), read(t, logs, 1, time.Time{})[0])
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "shop.log"), filepath.Join(dir, "shop.log.1")}, files)
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(5<<10))
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	paths := read(t, logs, 500, time.Time{})
	require.Greater(t, len(paths), 40, "the former file is read too")
	require.Equal(t, "/499", paths[len(paths)-1])
}

func TestADiskThatTakesNothingLosesLinesAndNoRequestWaits(t *testing.T) {
	dir := t.TempDir()
	logs := open(t, dir, 0)
	path := filepath.Join(dir, "shop.log")
	require.NoError(t, os.Symlink("/dev/full", path))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 5000 {
				logs.Log("shop", fleet.Access{Time: began, Path: strings.Repeat("a", 100)})
			}
		})
	}
	group.Wait()
	_, err := logs.Read(t.Context(), "shop", 1, time.Time{})
	require.NoError(t, err)
	require.Len(t, logs.Problems(), 1)
	require.Contains(t, logs.Problems()[0], "the access log of shop is not written")
	require.Contains(t, logs.Problems()[0], "no space left")
}

func BenchmarkLog(b *testing.B) {
	logs, err := access.Open(b.TempDir(), 0)
	require.NoError(b, err)
	defer logs.Close()
	a := fleet.Access{Time: began, Route: "http", Endpoint: "shop.example:443", Protocol: "HTTP/2.0", Client: "192.0.2.1", Method: "GET", Host: "shop.example", Path: "/", Status: 200, Sent: 40, Upstream: "127.0.0.1:12345", DurationMS: 1.5}
	b.ReportAllocs()
	for b.Loop() {
		logs.Log("shop", a)
	}
}
