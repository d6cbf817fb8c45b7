package serve_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/serve"
	"github.com/metacircular/mcp/internal/stream/streamtest"
)

// kept keeps outputs in memory.
type kept struct{ sync.Map }

func (k *kept) Keep(container string, output []byte) error {
	k.Store(container, output)
	return nil
}

func (k *kept) Read(container string) ([]byte, error) {
	if output, found := k.Load(container); found {
		return output.([]byte), nil
	}
	return nil, fault.New(fault.NotFound, "no output of %s", container)
}

// quiet is a node with a simulated engine, and an operator.
type quiet struct {
	*testing.T
	*runtime.Fake
	node     *onnode.Node
	served   *serve.Server
	operator *stream.Client
}

func newQuiet(t *testing.T) *quiet {
	q := &quiet{T: t, Fake: runtime.NewFake()}
	q.AddImages("shop:v1")
	q.node = &onnode.Node{Name: "rift", Runtime: q.Fake, Fence: onnode.NewFence(), Slots: onnode.NewSlots(), TaskLogs: &kept{}}
	q.served = serve.New(streamtest.Engine{Fake: q.Fake}, onnode.NewDirect(q.node), slog.New(slog.DiscardHandler))
	q.operator = streamtest.Behind(t, &stream.Hub{}, stream.Node{Name: "rift", Handle: q.served.Handle})
	return q
}

// start runs a container of a deployment.
func (q *quiet) start(name string, labels map[string]string) {
	q.Helper()
	labels[runtime.LabelService] = "shop"
	_, err := q.Fake.Run(q.Context(), runtime.ContainerSpec{Name: name, Image: "shop:v1", Labels: labels})
	require.NoError(q, err)
}

func release(deployment int) map[string]string {
	return map[string]string{runtime.LabelComponent: "app", runtime.LabelDeployment: fmt.Sprint(deployment)}
}

// follow opens a stream of shop/app, or of a task, and returns what it brings.
func (q *quiet) follow(of stream.LogsRequest, task *fleet.Task) *brought {
	q.Helper()
	h := header(stream.Logs, "app")
	h.Logs, h.Task = &of, task
	if task != nil {
		h.Component = task.Name
	}
	call, err := q.operator.Call(q.Context(), h)
	b := &brought{q: q, call: call, marks: stream.Marks{}, ended: make(chan struct{}), err: err}
	if err != nil {
		close(b.ended)
		return b
	}
	q.Cleanup(func() { call.Close() })
	go b.read()
	return b
}

// brought is what a stream has brought so far.
type brought struct {
	q    *quiet
	call *stream.Call

	mu    sync.Mutex
	all   []string
	marks stream.Marks
	ended chan struct{}
	err   error
}

func (b *brought) read() {
	defer close(b.ended)
	for {
		batch, note, err := b.call.NextOutput()
		b.mu.Lock()
		for _, line := range batch.Lines {
			b.all = append(b.all, line.Text)
		}
		for id, mark := range batch.After {
			b.marks[id] = mark
		}
		for id, mark := range note.After {
			b.marks[id] = mark
		}
		if note.Begun != nil {
			b.all = append(b.all, fmt.Sprint("begun ", note.Begun.Deployment))
			b.marks[note.Begun.ID] = runtime.LogMark{}
		}
		if note.Ended != nil {
			b.all = append(b.all, fmt.Sprint("ended ", note.Ended.Deployment))
			delete(b.marks, note.Ended.ID)
		}
		b.err = err
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// has waits until the stream has brought exactly these.
func (b *brought) has(want ...string) {
	b.q.Helper()
	require.Eventually(b.q, func() bool { return b.text() == strings.Join(want, ", ") }, time.Minute, time.Millisecond, "want %v, has %s", want, lazily{b})
}

// lazily is what was brought when a failure is printed.
type lazily struct{ of *brought }

func (l lazily) String() string { return l.of.text() }

func (b *brought) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.all, ", ")
}

// A follow names each container that begins and ends. One that begins later is not held
// responsible for what was gone before it.
func TestFollowThroughReplacements(t *testing.T) {
	q := newQuiet(t)
	q.start("shop-app", release(1))
	q.Print("shop-app", "one")
	first := q.follow(stream.LogsRequest{Lines: 10, Follow: true}, nil)
	first.has("one")
	q.Print("shop-app", "two")
	first.has("one", "two")
	q.start("shop-app.next", release(2))
	q.Print("shop-app.next", "three")
	first.has("one", "two", "begun 2", "three")
	require.NoError(t, q.Remove(t.Context(), "shop-app"))
	first.has("one", "two", "begun 2", "three", "ended 1")
	require.NoError(t, q.Rename(t.Context(), "shop-app.next", "shop-app"))

	second := q.follow(stream.LogsRequest{Lines: 10, Follow: true}, nil)
	second.has("three")
	q.Print("shop-app", "four")
	second.has("three", "four")
	first.has("one", "two", "begun 2", "three", "ended 1", "four")
	whole := q.follow(stream.LogsRequest{Beginning: true, Follow: true}, nil)
	whole.has("begun 2", "three", "four")
}

// A follow goes on after the last line of a former stream, and says where it cannot.
func TestFollowGoesOn(t *testing.T) {
	q := newQuiet(t)
	q.start("shop-app", release(1))
	q.Print("shop-app", "one", "two")
	first := q.follow(stream.LogsRequest{Lines: 1, Follow: true}, nil)
	first.has("two")
	q.Print("shop-app", "three")
	first.has("two", "three")
	first.call.Close()
	<-first.ended
	q.Print("shop-app", "four")
	next := q.follow(stream.LogsRequest{After: first.marks, Follow: true}, nil)
	next.has("four")
	q.Print("shop-app", "five")
	next.has("four", "five")
	next.call.Close()
	<-next.ended

	// What a container has printed before it was removed is kept for a while.
	marks := next.marks
	q.Print("shop-app", "six")
	back := q.follow(stream.LogsRequest{After: marks, Follow: true}, nil)
	back.has("six")
	require.NoError(t, q.Remove(t.Context(), "shop-app"))
	back.has("six", "ended 1")
	q.start("shop-app", release(2))
	q.Print("shop-app", "seven")
	back.has("six", "ended 1", "begun 2", "seven")
	back.call.Close()
	<-back.ended
	back = q.follow(stream.LogsRequest{After: marks, Follow: true}, nil)
	back.has("six", "ended 1", "begun 2", "seven")
	q.start("shop-app.next", release(3))
	back.has("six", "ended 1", "begun 2", "seven", "begun 3")
	back.call.Close()
	<-back.ended

	// The end of a container is new also where all that it had printed was read.
	marks = back.marks
	back = q.follow(stream.LogsRequest{After: marks, Follow: true}, nil)
	require.NoError(t, q.Remove(t.Context(), "shop-app.next"))
	back.has("ended 3")
	require.NoError(t, q.Remove(t.Context(), "shop-app"))
	back.has("ended 3", "ended 2")
	back.call.Close()
	<-back.ended
	back = q.follow(stream.LogsRequest{After: marks, Follow: true}, nil)
	back.has("ended 3", "ended 2")
	q.served.Linger(0)
	back.call.Close()
	<-back.ended
	require.Eventually(t, func() bool {
		last := q.follow(stream.LogsRequest{After: marks, Follow: true}, nil)
		if last.call != nil {
			last.call.Close()
		}
		<-last.ended
		return fault.Is(last.err, fault.Invalid) && strings.Contains(last.err.Error(), "may be lost")
	}, time.Minute, 10*time.Millisecond)
}

// What a task prints is read from its container, or from what was kept; a follow ends with
// the program.
func TestTaskOutput(t *testing.T) {
	q := newQuiet(t)
	task := fleet.RunTask("run-1", 1, "backup")
	name := task.Container("shop")
	labels := func() map[string]string {
		return map[string]string{runtime.LabelTask: task.ID, runtime.LabelTaskKind: string(task.Kind), runtime.LabelTaskName: task.Name}
	}
	waiting := q.follow(stream.LogsRequest{Beginning: true, Follow: true}, &task)
	q.start(name, labels())
	q.Print(name, "one")
	waiting.has("begun 0", "one")
	second := q.follow(stream.LogsRequest{Beginning: true, Follow: true}, &task)
	second.has("begun 0", "one")
	q.Print(name, "two")
	q.Exit(name, 3)
	for _, b := range []*brought{waiting, second} {
		b.has("begun 0", "one", "two")
		<-b.ended
		require.ErrorIs(t, b.err, io.EOF)
	}
	ended := q.follow(stream.LogsRequest{Beginning: true, Follow: true}, &task)
	<-ended.ended
	ended.has("begun 0", "one", "two")
	last := q.follow(stream.LogsRequest{Lines: 1}, &task)
	<-last.ended
	last.has("two")

	other := fleet.RunTask("run-1", 2, "backup")
	_, err := q.Fake.Run(t.Context(), runtime.ContainerSpec{Name: other.Container("shop"), Image: "shop:v1", Labels: map[string]string{runtime.LabelService: "bank", runtime.LabelTask: other.ID}})
	require.NoError(t, err)
	foreign := q.follow(stream.LogsRequest{Lines: 1}, &other)
	<-foreign.ended
	require.True(t, fault.Is(foreign.err, fault.Conflict), foreign.err)

	require.NoError(t, q.Remove(t.Context(), name))
	keep := func(service string) {
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		for _, part := range []any{map[string]any{"service": service, "task": task}, runtime.LogLine{Text: "kept"}} {
			require.NoError(t, encoder.Encode(part))
		}
		require.NoError(t, q.node.TaskLogs.Keep(name, []byte(text.String())))
	}
	keep("bank")
	absent := q.follow(stream.LogsRequest{Lines: 5}, &task)
	<-absent.ended
	absent.has()
	keep("shop")
	found := q.follow(stream.LogsRequest{Lines: 5}, &task)
	<-found.ended
	found.has("kept")
	gone := q.follow(stream.LogsRequest{Beginning: true, Follow: true}, &task)
	<-gone.ended
	require.ErrorIs(t, gone.err, io.EOF)
}
