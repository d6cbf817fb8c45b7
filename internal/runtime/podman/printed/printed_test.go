package printed_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/printed"
)

// at is the time of the n-th entry of a log.
func at(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

// entry is the n-th entry of a log as podman stores it.
func entry(n int, stream, mark, text string) string {
	return fmt.Sprintf("%s %s %s %s\n", at(n).Format(time.RFC3339Nano), stream, mark, text)
}

// read returns the lines of a log file that a query selects.
func read(t *testing.T, path string, q runtime.LogQuery, running func() (bool, error)) []string {
	t.Helper()
	log := printed.OpenLogFile("k8s-file", path)
	require.NotNil(t, log)
	defer log.Close()
	var found []string
	lines := printed.JoinTo(func(line runtime.LogLine) bool {
		found = append(found, line.Stream+" "+line.Text)
		return true
	})
	require.NoError(t, log.Read(t.Context(), q, running, lines.Add))
	lines.Flush()
	return found
}

func TestLogFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	text := entry(1, "stdout", "F", "one") + entry(2, "stdout", "P", "tw") + entry(2, "stderr", "F", "error") +
		entry(3, "stdout", "F", "o") + entry(4, "stdout", "F", "three") + entry(5, "stdout", "P", "cut")
	require.NoError(t, os.WriteFile(path, []byte(text+"2026-01-01T00:00:06Z std"), 0o600))
	require.Equal(t, []string{"stdout one", "stderr error", "stdout two", "stdout three", "stdout cut"}, read(t, path, runtime.LogQuery{}, nil))
	require.Equal(t, []string{"stdout three", "stdout cut"}, read(t, path, runtime.LogQuery{Since: at(4)}, nil))
	require.Equal(t, []string{"stdout o", "stdout three", "stdout cut"}, read(t, path, runtime.LogQuery{Tail: 1}, nil), "from the line before")
	require.Nil(t, printed.OpenLogFile("journald", path))
	require.Nil(t, printed.OpenLogFile("k8s-file", filepath.Dir(path)))
	require.Nil(t, printed.OpenLogFile("k8s-file", ""))
}

// Podman replaces the file of a log that has reached its bound.
func TestALogFileThatIsReplacedIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	require.NoError(t, os.WriteFile(path, []byte(entry(1, "stdout", "F", "one")), 0o600))
	asked := 0
	running := func() (bool, error) {
		if asked++; asked == 1 {
			next := path + ".next"
			require.NoError(t, os.WriteFile(next, []byte(entry(2, "stdout", "F", "two")), 0o600))
			require.NoError(t, os.Rename(next, path))
		}
		return asked < 2, nil
	}
	require.Equal(t, []string{"stdout one", "stdout two"}, read(t, path, runtime.LogQuery{Follow: true}, running))
	require.Equal(t, 2, asked)
}

func TestFrames(t *testing.T) {
	frame := func(stream byte, text string) []byte {
		header := binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text)))
		return append(header, text...)
	}
	body := func(frames ...[]byte) *bytes.Reader { return bytes.NewReader(bytes.Join(frames, nil)) }
	var found []string
	all := func(stderr bool, frame []byte) bool {
		found = append(found, fmt.Sprint(stderr, " ", string(frame)))
		return true
	}
	require.NoError(t, printed.Frames(body(frame(1, "out"), frame(2, "error")), all))
	require.Equal(t, []string{"false out", "true error"}, found)
	require.NoError(t, printed.Frames(body(frame(1, "out"), frame(3, "unread")), func(bool, []byte) bool { return false }))
	require.EqualError(t, printed.Frames(body(frame(3, "podman's own\n")), all), "podman's own")
	require.Error(t, printed.Frames(body(frame(1, "out")[:9]), all), "a frame that is cut off")
}

func TestLines(t *testing.T) {
	var found []string
	lines := printed.Lines(func(line string) { found = append(found, line) })
	for _, text := range []string{"a", "b\r\n\nc\xff\n", strings.Repeat("x", 5<<10), "\nnot ended"} {
		n, err := lines.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	require.Equal(t, []string{"ab", "", "c\uFFFD", strings.Repeat("x", 2<<10)}, found)
}
