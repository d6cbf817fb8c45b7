package serve_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/serve"
	"github.com/metacircular/mcp/internal/stream/streamtest"
)

var (
	// mib is how much passes through a command, and followers how many follow an output.
	mib       = flag.Int64("serve.mib", 8, "MiB that pass through a command")
	followers = flag.Int("serve.followers", 200, "followers of one output")
)

// rig is a node with a podman of its own, behind a door, and an operator.
type rig struct {
	engine   *podman.Engine
	hub      *stream.Hub
	node     *activities.Node
	served   *serve.Server
	operator *stream.Client
}

// forbidding is a policy that lets no command be run.
type forbidding struct{ activities.Policies }

func (forbidding) Policy() policy.Policy { return policy.Policy{File: "/etc/mcp/node-policy.toml"} }

func newRig(t *testing.T) *rig {
	t.Helper()
	service, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: t.TempDir(), Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	r := &rig{engine: podman.New(service.Socket()), hub: &stream.Hub{PerPeer: 1000}}
	dir := contract.BuildApp(t)
	file := filepath.Join(dir, "Containerfile")
	require.NoError(t, os.WriteFile(file, []byte("FROM scratch\nCOPY app /app\nCOPY Containerfile /data/some.txt\n"), 0o600))
	_, err = r.engine.Build(t.Context(), runtime.BuildSpec{Tag: "localhost/streams:v1", Context: dir, Containerfile: file})
	require.NoError(t, err)
	r.node = &activities.Node{Name: "rift", Runtime: r.engine, Fence: activities.NewFence(), Slots: activities.NewSlots()}
	served := serve.New(r.engine, activities.NewDirect(r.node), slog.New(slog.DiscardHandler))
	r.served = served
	served.Linger(0) // nothing reads when the engine ends
	r.operator = streamtest.Behind(t, r.hub, stream.Node{Name: "rift", Handle: served.Handle})
	return r
}

// run runs the container of shop/COMPONENT.
func (r *rig) run(t *testing.T, component string, change func(*runtime.ContainerSpec), command ...string) {
	t.Helper()
	spec := runtime.ContainerSpec{
		Name: "shop-" + component, Image: "localhost/streams:v1", Command: append([]string{"/app"}, command...),
		Labels: map[string]string{runtime.LabelService: "shop", runtime.LabelComponent: component},
	}
	if change != nil {
		change(&spec)
	}
	_, err := r.engine.Run(t.Context(), spec)
	require.NoError(t, err)
}

func header(verb stream.Verb, component string) stream.Header {
	return stream.Header{Verb: verb, Node: "rift", Service: "shop", Component: component}
}

func exec(component string, command ...string) stream.Header {
	h := header(stream.Exec, component)
	h.Exec = &stream.ExecRequest{Command: append([]string{"/app"}, command...), Input: true}
	return h
}

// receive runs a stream to its end.
func (r *rig) receive(t *testing.T, h stream.Header, input io.Reader, stdout, stderr io.Writer) (int, error) {
	t.Helper()
	call, err := r.operator.Call(t.Context(), h)
	if err != nil {
		return 0, err
	}
	if input != nil {
		go func() { _ = call.Send(input) }()
	}
	return call.Receive(stdout, stderr)
}

// TestStreams serves streams with a real podman.
func TestStreams(t *testing.T) {
	r := newRig(t)
	r.run(t, "app", func(spec *runtime.ContainerSpec) { spec.Env = map[string]string{"PORT": "8080"} }, "serve")

	t.Run("a large stream passes through a command byte for byte", func(t *testing.T) {
		in, out, stderr := sha256.New(), sha256.New(), &strings.Builder{}
		began := time.Now()
		code, err := r.receive(t, exec("app", "through"), io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), *mib<<20), in), out, stderr)
		require.NoError(t, err)
		require.Equal(t, 7, code)
		require.Equal(t, in.Sum(nil), out.Sum(nil))
		t.Logf("%d MiB into a command and out of it: %.0f MiB/s each way", *mib, float64(*mib)/time.Since(began).Seconds())
	})

	t.Run("an operator who goes hangs up", func(t *testing.T) {
		call, err := r.operator.Call(t.Context(), exec("app", "await", "/data/heard"))
		require.NoError(t, err)
		frame, err := call.Next()
		require.NoError(t, err)
		require.Equal(t, "ready\n", string(frame.Data))
		call.Close()
		require.Eventually(t, func() bool {
			result, err := r.engine.Exec(t.Context(), "shop-app", []string{"/app", "cat", "/data/heard"})
			return err == nil && string(result.Stdout) == "hangup"
		}, time.Minute, 50*time.Millisecond)
	})

	t.Run("a command whose container ends is an error, or has its code", func(t *testing.T) {
		r.run(t, "short", nil, "await")
		call, err := r.operator.Call(t.Context(), exec("short", "await"))
		require.NoError(t, err)
		_, err = call.Next()
		require.NoError(t, err)
		require.NoError(t, r.engine.Remove(t.Context(), "shop-short"))
		code, err := call.Receive(io.Discard, io.Discard)
		require.True(t, err != nil || code != 0, "exit code %d", code)
	})

	t.Run("files", func(t *testing.T) {
		var archive, back bytes.Buffer
		content := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
		to := tar.NewWriter(&archive)
		require.NoError(t, to.WriteHeader(&tar.Header{Name: "here.bin", Mode: 0o600, Size: int64(len(content))}))
		_, err := to.Write(content)
		require.NoError(t, err)
		require.NoError(t, to.Close())
		for path, found := range map[string]string{"/data/there.bin": "/data/there.bin", "/data": "/data/here.bin"} {
			h := header(stream.CopyTo, "app")
			h.Copy = &stream.CopyRequest{Path: path, Name: "here.bin"}
			_, err = r.receive(t, h, bytes.NewReader(archive.Bytes()), io.Discard, io.Discard)
			require.NoError(t, err)
			h = header(stream.CopyFrom, "app")
			h.Copy = &stream.CopyRequest{Path: found}
			back.Reset()
			_, err = r.receive(t, h, nil, &back, io.Discard)
			require.NoError(t, err)
			from := tar.NewReader(&back)
			_, err = from.Next()
			require.NoError(t, err)
			got, err := io.ReadAll(from)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got), path)
		}
		h := header(stream.CopyFrom, "app")
		h.Copy = &stream.CopyRequest{Path: "/none"}
		_, err = r.receive(t, h, nil, io.Discard, io.Discard)
		require.True(t, fault.Is(err, fault.NotFound), err)
	})

	t.Run("a connection to a port", func(t *testing.T) {
		h := header(stream.Forward, "app")
		h.Forward = &stream.ForwardRequest{Port: 8080}
		var answer bytes.Buffer
		_, err := r.receive(t, h, strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), &answer, io.Discard)
		require.NoError(t, err)
		require.Contains(t, answer.String(), http.StatusText(http.StatusOK))
		require.Contains(t, answer.String(), "hello")
		h.Forward = &stream.ForwardRequest{Port: 8081}
		_, err = r.receive(t, h, nil, io.Discard, io.Discard)
		require.True(t, fault.Is(err, fault.Unavailable), err)
		r.run(t, "hosted", func(spec *runtime.ContainerSpec) { spec.Network = "host" }, "serve")
		h.Component = "hosted"
		_, err = r.receive(t, h, nil, io.Discard, io.Discard)
		require.True(t, fault.Is(err, fault.Invalid), err)
	})

	t.Run("many followers, one of which does not read", func(t *testing.T) {
		const lines = 1000
		r.followers(t, "many", *followers, lines)
		call, first, _ := r.begin(t, logs("many", 25, false))
		require.Len(t, first, 25)
		require.Equal(t, strconv.Itoa(lines-1), strings.TrimLeft(first[24].Text, "0"))
		_, _, err := next(call)
		require.ErrorIs(t, err, io.EOF)
	})

	t.Run("followers who are further behind than lines are kept", func(t *testing.T) {
		r.served.Keep(32 << 10)
		r.followers(t, "behind", 4, 12_000) // more than is kept or on its way
	})

	t.Run("a container of another service is not served", func(t *testing.T) {
		r.run(t, "other", func(spec *runtime.ContainerSpec) { spec.Labels[runtime.LabelService] = "bank" }, "await")
		r.run(t, "adopted", func(spec *runtime.ContainerSpec) { spec.Labels = nil }, "await")
		for _, component := range []string{"other", "adopted"} {
			_, err := r.receive(t, exec(component, "echo"), nil, io.Discard, io.Discard)
			require.True(t, fault.Is(err, fault.NotFound), err)
		}
		for component, works := range map[string]bool{"other": false, "adopted": true} {
			h := exec(component, "echo")
			h.Unlabelled = true
			_, err := r.receive(t, h, nil, io.Discard, io.Discard)
			require.Equal(t, works, err == nil, err)
		}
	})

	t.Run("the policy of the node forbids commands, files and ports, not output", func(t *testing.T) {
		r.node.Policies = forbidding{}
		defer func() { r.node.Policies = nil }()
		copying, forward, logs := header(stream.CopyTo, "app"), header(stream.Forward, "app"), header(stream.Logs, "app")
		copying.Copy, forward.Forward, logs.Logs = &stream.CopyRequest{Path: "/data"}, &stream.ForwardRequest{Port: 8080}, &stream.LogsRequest{}
		for _, h := range []stream.Header{exec("app", "echo"), copying, forward} {
			_, err := r.receive(t, h, nil, io.Discard, io.Discard)
			require.True(t, fault.Is(err, fault.Forbidden), "%s: %v", h.Verb, err)
			require.ErrorContains(t, err, "exec.allowed")
		}
		_, err := r.receive(t, logs, nil, io.Discard, io.Discard)
		require.NoError(t, err)
	})
}

// logs is the header of the output of a component.
func logs(component string, lines int, follow bool) stream.Header {
	h := header(stream.Logs, component)
	h.Logs = &stream.LogsRequest{Lines: lines, Follow: follow}
	return h
}

// next reads lines, or a note.
func next(call *stream.Call) (lines []stream.Line, note stream.Note, err error) {
	batch, note, err := call.NextOutput()
	return batch.Lines, note, err
}

// begin opens a follow, and reads what is there already.
func (r *rig) begin(t *testing.T, h stream.Header) (call *stream.Call, first []stream.Line, note stream.Note) {
	t.Helper()
	call, err := r.operator.Call(t.Context(), h)
	require.NoError(t, err)
	for !note.Read {
		var lines []stream.Line
		lines, note, err = next(call)
		require.NoError(t, err)
		first = append(first, lines...)
	}
	return call, first, note
}

// count reads numbered lines from a number on until there are n, and fails where one is
// missing or comes twice.
func count(call *stream.Call, from, n int) error {
	for from < n {
		lines, _, err := next(call)
		if err != nil {
			return fmt.Errorf("after %d lines: %w", from, err)
		}
		for _, line := range lines {
			number, err := strconv.Atoi(line.Text)
			if err != nil || number != from {
				return fmt.Errorf("line %d is %q", from, line.Text)
			}
			from++
		}
	}
	return nil
}

// followers has so many follow an output from before there is any. Every one has each
// line once; the first reads nothing until the others are at the end.
func (r *rig) followers(t *testing.T, component string, followers, lines int) {
	t.Helper()
	slow, first, note := r.begin(t, logs(component, 10, true))
	require.Empty(t, first)
	require.True(t, note.Absent)
	var all sync.WaitGroup
	for range followers - 1 {
		call, _, _ := r.begin(t, logs(component, 10, true))
		all.Go(func() { assert.NoError(t, count(call, 0, lines)) })
	}
	began := time.Now()
	r.run(t, component, nil, "count", strconv.Itoa(lines))
	all.Wait()
	t.Logf("%d followers had %d lines of 100 bytes after %.1f s", followers-1, lines, time.Since(began).Seconds())
	require.NoError(t, count(slow, 0, lines))
}
