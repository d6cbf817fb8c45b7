package podman_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// attachedMiB is how much passes through a command.
var attachedMiB = flag.Int64("attached.mib", 8, "MiB that pass through a command in a container")

// TestAttached runs commands with streams of their own, and copies files, in a container.
func TestAttached(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	dir := contract.BuildApp(t)
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY app /app\nCOPY Containerfile /data/some.txt\n"), 0o600))
	_, err := engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/attached:v1", Context: dir, Containerfile: file})
	require.NoError(t, err)
	_, err = engine.Run(t.Context(), runtime.ContainerSpec{Name: "attached", Image: "localhost/attached:v1", Command: []string{"/app", "await"}})
	require.NoError(t, err)

	t.Run("what goes in comes out, byte for byte, and the exit code is the command's", func(t *testing.T) {
		in, out, stderr := sha256.New(), sha256.New(), &strings.Builder{}
		source := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), *attachedMiB<<20), in)
		began := time.Now()
		code, err := engine.ExecAttached(t.Context(), "attached", runtime.AttachedExec{
			Command: []string{"/app", "through"}, Stdin: source, Stdout: out, Stderr: stderr,
		})
		require.NoError(t, err)
		require.Equal(t, 7, code)
		require.Equal(t, in.Sum(nil), out.Sum(nil))
		t.Logf("%d MiB in and out: %.0f MiB/s; the command counts %s", *attachedMiB, float64(*attachedMiB)/time.Since(began).Seconds(), stderr)
	})

	t.Run("keys at which podman detaches, and bytes one by one, pass like others", func(t *testing.T) {
		keys := "\x10\x11ab\x10\x11\x1e\x1e" + strings.Repeat("\x10\x11", 20) + "\x1ec"
		var out, stderr strings.Builder
		code, err := engine.ExecAttached(t.Context(), "attached", runtime.AttachedExec{
			Command: []string{"/app", "through"}, Stdin: iotest.OneByteReader(strings.NewReader(keys)), Stdout: &out, Stderr: &stderr,
		})
		require.NoError(t, err)
		require.Equal(t, 7, code)
		require.Equal(t, keys, out.String())
	})

	t.Run("without input the command finds its end", func(t *testing.T) {
		var out, stderr strings.Builder
		code, err := engine.ExecAttached(t.Context(), "attached", runtime.AttachedExec{Command: []string{"/app", "through"}, Stdout: &out, Stderr: &stderr})
		require.NoError(t, err)
		require.Equal(t, 7, code)
		require.Equal(t, "0<nil>", strings.ReplaceAll(stderr.String(), " ", ""))
	})

	t.Run("a terminal has its size, and a new one", func(t *testing.T) {
		reader, writer := io.Pipe()
		resizes, done := make(chan runtime.TerminalSize, 1), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := engine.ExecAttached(ctx, "attached", runtime.AttachedExec{
				Command: []string{"/app", "window"}, Terminal: true, Size: runtime.TerminalSize{Rows: 31, Columns: 77}, Term: "vt220",
				Stdin: blocked(ctx), Stdout: writer, Resizes: resizes,
			})
			done <- err
		}()
		lines := bufio.NewReader(reader)
		require.Equal(t, "vt220 31 77\r\n", line(t, lines))
		resizes <- runtime.TerminalSize{Rows: 40, Columns: 132}
		require.Equal(t, "vt220 40 132\r\n", line(t, lines))
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})

	t.Run("a signal reaches the command", func(t *testing.T) {
		reader, writer := io.Pipe()
		signals := make(chan string, 1)
		codes := make(chan int, 1)
		go func() {
			code, err := engine.ExecAttached(t.Context(), "attached", runtime.AttachedExec{
				Command: []string{"/app", "await"}, Stdout: writer, Stderr: io.Discard, Signals: signals,
			})
			_ = writer.CloseWithError(err)
			codes <- code
		}()
		lines := bufio.NewReader(reader)
		require.Equal(t, "ready\n", line(t, lines))
		signals <- "INT"
		require.Equal(t, "interrupt\n", line(t, lines))
		require.Equal(t, 40, <-codes)
	})

	t.Run("a caller that goes hangs up", func(t *testing.T) {
		reader, writer := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := engine.ExecAttached(ctx, "attached", runtime.AttachedExec{
				Command: []string{"/app", "await", "/data/heard"}, Stdout: writer, Stderr: io.Discard,
			})
			done <- err
		}()
		require.Equal(t, "ready\n", line(t, bufio.NewReader(reader)))
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Eventually(t, func() bool {
			result, err := engine.Exec(t.Context(), "attached", []string{"/app", "cat", "/data/heard"})
			return err == nil && string(result.Stdout) == "hangup"
		}, time.Minute, 50*time.Millisecond)
	})

	t.Run("a command that does not exist has the exit code of a shell", func(t *testing.T) {
		var stderr strings.Builder
		code, err := engine.ExecAttached(t.Context(), "attached", runtime.AttachedExec{Command: []string{"/none"}, Stdout: io.Discard, Stderr: &stderr})
		require.NoError(t, err)
		require.Equal(t, 127, code)
		require.Contains(t, stderr.String(), "/none")
	})

	t.Run("files go in and come out as they are", func(t *testing.T) {
		content := make([]byte, 3<<20+17)
		_, _ = rand.NewChaCha8([32]byte{2}).Read(content)
		var archive bytes.Buffer
		to := tar.NewWriter(&archive)
		require.NoError(t, to.WriteHeader(&tar.Header{Name: "in.bin", Mode: 0o640, Size: int64(len(content)), Uid: 7, Gid: 8}))
		_, err := to.Write(content)
		require.NoError(t, err)
		require.NoError(t, to.Close())
		require.NoError(t, engine.CopyIn(t.Context(), "attached", "/data", map[string]string{"in.bin": "other.bin"}, &archive))
		var back bytes.Buffer
		require.NoError(t, engine.CopyOut(t.Context(), "attached", "/data/other.bin", &back))
		from := tar.NewReader(&back)
		header, err := from.Next()
		require.NoError(t, err)
		require.Equal(t, []any{"other.bin", int64(0o640), 0, 0}, []any{header.Name, header.Mode, header.Uid, header.Gid})
		got, err := io.ReadAll(from)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))

		info, err := engine.Stat(t.Context(), "attached", "/data")
		require.NoError(t, err)
		require.Equal(t, runtime.FileInfo{Name: "data", Dir: true}, info)
		info, err = engine.Stat(t.Context(), "attached", "/data/other.bin")
		require.NoError(t, err)
		require.Equal(t, runtime.FileInfo{Name: "other.bin"}, info)
		_, err = engine.Stat(t.Context(), "attached", "/data/none")
		require.True(t, fault.Is(err, fault.NotFound), err)
		err = engine.CopyOut(t.Context(), "attached", "/data/none", io.Discard)
		require.True(t, fault.Is(err, fault.NotFound), err)
		broken := io.MultiReader(strings.NewReader("x"), iotest.ErrReader(os.ErrDeadlineExceeded))
		require.ErrorIs(t, engine.CopyIn(t.Context(), "attached", "/data", nil, broken), os.ErrDeadlineExceeded)
	})

	t.Run("a container that does not run is an error", func(t *testing.T) {
		_, err := engine.ExecAttached(t.Context(), "none", runtime.AttachedExec{Command: []string{"/app"}})
		require.True(t, fault.Is(err, fault.NotFound), err)
	})
}

func line(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	text, err := from.ReadString('\n')
	require.NoError(t, err)
	return text
}

// blocked is input that does not come until ctx ends.
func blocked(ctx context.Context) io.Reader {
	reader, writer := io.Pipe()
	context.AfterFunc(ctx, func() { _ = writer.Close() })
	return reader
}
