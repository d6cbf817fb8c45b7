package podman_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// Podman itself takes 20 s to select lines of such a log by their time.
func TestTheLastLinesOfALargeLogCostWhatIsShown(t *testing.T) {
	service := startPodman(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	engine := podman.New(service.Socket())
	buildApp(t, engine)
	_, err := engine.Run(t.Context(), runtime.ContainerSpec{
		Name: "large", Image: "localhost/app:v1", Command: []string{"/app", "pour", "60", "20s"},
	})
	require.NoError(t, err)

	// A follow reads the whole log, and the line that is printed later.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	var lines int
	var last runtime.LogLine
	var mark runtime.LogMark
	require.NoError(t, mark.Read(ctx, engine, "large", true, func(line runtime.LogLine) bool {
		lines, last = lines+1, line
		mark.Pass(line)
		return true
	}))
	require.Equal(t, 60<<10+1, lines)
	require.Equal(t, "the last line", last.Text)
	whole := time.Since(began)

	began = time.Now()
	tail, err := runtime.LastLines(t.Context(), engine, "large", 3, 100)
	require.NoError(t, err)
	t.Logf("the last lines took %s", time.Since(began))
	require.Less(t, time.Since(began), whole/4)
	require.Len(t, tail, 3)
	require.Equal(t, "the last line", tail[2])

	began = time.Now()
	require.NoError(t, mark.Read(t.Context(), engine, "large", false, func(line runtime.LogLine) bool {
		t.Errorf("%s was read already", line.Text)
		return true
	}))
	t.Logf("nothing after the mark took %s", time.Since(began))
	require.Less(t, time.Since(began), whole/4)
	var since []string
	require.NoError(t, engine.Logs(t.Context(), "large", runtime.LogQuery{Since: last.Time}, func(line runtime.LogLine) bool {
		since = append(since, line.Text)
		return true
	}))
	require.Equal(t, []string{"the last line"}, since)
}

// An entry that is being written is seen in part, and one that a crash has cut stays so.
func TestALogThatEndsInAPartOfAnEntry(t *testing.T) {
	dir := t.TempDir()
	service := startPodman(t, dir)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	direct := podman.New(service.Socket())
	buildApp(t, direct)
	id, err := direct.Run(t.Context(), runtime.ContainerSpec{
		Name: "cut", Image: "localhost/app:v1", Command: []string{"/app", "print", "one", "two", "three"},
	})
	require.NoError(t, err)
	path := filepath.Join(dir, "root/overlay-containers", id, "userdata/ctr.log")
	elsewhere := podman.New(serve(t, withoutLogFiles(service.Socket())))
	for name, engine := range map[string]*podman.Engine{"the file": direct, "podman alone": elsewhere} {
		require.Eventually(t, func() bool {
			lines, err := runtime.LastLines(t.Context(), engine, "cut", 9, 100)
			return err == nil && len(lines) == 3
		}, time.Minute, 20*time.Millisecond, name)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer file.Close()
	_, err = file.WriteString("202")
	require.NoError(t, err)
	for name, engine := range map[string]*podman.Engine{"the file": direct, "podman alone": elsewhere} {
		lines, err := runtime.LastLines(t.Context(), engine, "cut", 2, 100)
		require.NoError(t, err, name)
		require.Equal(t, []string{"two", "three"}, lines, name)
	}
}

// withoutLogFiles passes requests on to a podman, whose log files it hides.
func withoutLogFiles(socket string) http.Handler {
	pass := toPodman(socket)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/json") {
			pass.ServeHTTP(w, r)
			return
		}
		recorder := httptest.NewRecorder()
		pass.ServeHTTP(recorder, r)
		maps.Copy(w.Header(), recorder.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(bytes.ReplaceAll(recorder.Body.Bytes(), []byte("/ctr.log"), []byte("/absent.log")))
	})
}
