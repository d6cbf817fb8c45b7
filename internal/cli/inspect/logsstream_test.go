package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workflows/reads"
)

// doors is a gateway with nodes that send what a test says, in sessions that it can break.
type doors struct {
	*testing.T
	hub *stream.Hub
	ctx context.Context
	all sync.WaitGroup

	mu     sync.Mutex
	state  string
	found  reads.LogsResult
	err    error
	client *stream.Client
	asked  []stream.Header
	opened chan *stream.Accepted
}

func newDoors(t *testing.T, nodes ...string) *doors {
	d := &doors{T: t, hub: &stream.Hub{}, opened: make(chan *stream.Accepted, 16), state: "1"}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	d.ctx = ctx
	t.Cleanup(func() {
		cancel()
		d.all.Wait()
	})
	for _, name := range nodes {
		conn := d.connect(identity.Identity{Role: identity.Node, Name: name})
		d.all.Go(func() { _ = stream.Node{Name: name, Handle: d.serve}.Serve(ctx, conn) })
	}
	require.Eventually(t, func() bool { return len(d.hub.Nodes()) == len(nodes) }, time.Minute, time.Millisecond)
	return d
}

func (d *doors) connect(who identity.Identity) net.Conn {
	here, there := net.Pipe()
	d.all.Go(func() { _ = d.hub.Serve(d.ctx, there, who) })
	return here
}

// serve hands a stream to the test, and ends with its operator.
func (d *doors) serve(ctx context.Context, a *stream.Accepted) (int, error) {
	if err := a.Start(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	d.asked = append(d.asked, a.Header)
	d.mu.Unlock()
	d.opened <- a
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

func (d *doors) where(context.Context, reads.LogsInput) (reads.LogsResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found, d.err
}

func (d *doors) deployed(context.Context, string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, nil
}

func (d *doors) call(ctx context.Context, h stream.Header) (*stream.Call, error) {
	client, err := d.session()
	if err != nil {
		return nil, err
	}
	return client.Call(ctx, h)
}

func (d *doors) lines(context.Context, string, string, fleet.Task, stream.LogsRequest) ([]reads.LogLine, stream.Note, error) {
	return nil, stream.Note{}, errors.New("there is no task")
}

func (d *doors) session() (_ *stream.Client, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client == nil {
		d.client, err = stream.NewClient(d.ctx, d.connect(identity.Identity{Role: identity.Operator, Name: "anna"}))
	}
	return d.client, err
}

// cut breaks the session of the operator.
func (d *doors) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.client.Close()
	d.client = nil
}

// release is what the next round of watch finds.
func (d *doors) release(state string, err error, at ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state, d.err, d.found = state, err, reads.LogsResult{}
	for i := 0; i < len(at); i += 2 {
		l := reads.ComponentLogs{Node: at[i+1]}
		l.Component, l.Container = at[i], "shop-"+at[i]
		d.found.Components = append(d.found.Components, at[i])
		d.found.Logs = append(d.found.Logs, l)
	}
}

// next is the next stream, of a component on a node.
func (d *doors) next(component, node string) *stream.Accepted {
	d.Helper()
	select {
	case a := <-d.opened:
		require.Equal(d, component+" on "+node, a.Header.Component+" on "+a.Header.Node)
		return a
	case <-time.After(time.Minute):
		require.Fail(d, "there is no stream of "+component)
		return nil
	}
}

func (d *doors) note(a *stream.Accepted, text string) {
	d.Helper()
	require.NoError(d, a.Send(stream.Notice, []byte(text)))
}

// print sends the n-th line of a container.
func (d *doors) print(a *stream.Accepted, container string, n int) {
	d.Helper()
	text := fmt.Sprintf(`{"lines":[{"time":"2026-11-30T05:00:00Z","stream":"stdout","line":"%s %d"}],"after":{%q:{"time":"2026-11-30T05:00:00Z","lines":%d}}}`, container, n, container, n)
	require.NoError(d, a.Send(stream.Lines, []byte(text)))
}

// following is a follow in the background.
type following struct {
	*doors
	stdout, stderr printed.Text
	interrupt      context.CancelFunc
	ended          chan error
}

func (d *doors) follow() *following {
	f := &following{doors: d, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(d.Context())
	f.interrupt = cancel
	s := &session.Session{Console: ui.Console{Stdout: &f.stdout, Stderr: &f.stderr}}
	go func() { f.ended <- streamLogs(ctx, s, d, []string{"shop"}, logsOptions{follow: true, lines: 10}) }()
	d.Cleanup(cancel)
	return f
}

// shows waits for a text, once, and says waits for one on stderr.
func (f *following) shows(text string) {
	f.Helper()
	require.Eventually(f, func() bool { return strings.Count(f.stdout.String(), text) == 1 }, time.Minute, time.Millisecond, text)
}

func (f *following) says(text string) {
	f.Helper()
	require.Eventually(f, func() bool { return strings.Contains(f.stderr.String(), text) }, time.Minute, time.Millisecond, text)
}

func (f *following) end() error {
	f.Helper()
	select {
	case err := <-f.ended:
		return err
	case <-time.After(time.Minute):
		require.Fail(f, "the follow goes on", f.stderr.String())
		return nil
	}
}

func TestFollowFindsComponentsOfLaterDeploys(t *testing.T) {
	d := newDoors(t, "rift", "orion")
	d.release("1", nil, "api", "rift")
	f := d.follow()
	api := d.next("api", "rift")
	require.Equal(t, 10, api.Header.Logs.Lines)
	d.print(api, "a1", 1)
	d.note(api, `{"read":true,"after":{"a1":{"time":"2026-11-30T05:00:00Z","lines":1}}}`)
	f.shows("a1 1\n")

	// A new component, which it searches for at a note of the former one.
	d.release("2", nil, "api", "rift", "web", "rift")
	d.note(api, `{"begun":{"id":"a2","deployment":2}}`)
	f.says("api: the container of deployment 2 begins on rift\n")
	web := d.next("web", "rift")
	require.True(t, web.Header.Logs.Beginning)
	f.says("web: it is followed on rift\n")
	d.note(web, `{"read":true}`)
	d.note(web, `{"begun":{"id":"w2","deployment":2}}`)
	d.print(web, "w2", 1)
	f.shows("web | w2 1\n")
	d.note(api, `{"ended":{"id":"a1","deployment":1}}`)
	f.says("api: the container of deployment 1 has ended on rift\n")
	d.print(api, "a2", 1)
	f.shows("api | a2 1\n")

	// One that moves is read to its end where it was, and from its beginning where it is.
	d.release("3", nil, "api", "rift", "web", "orion")
	d.note(api, `{"text":"podman does not answer"}`)
	there := d.next("web", "orion")
	f.says("web: it has moved from rift to orion\n")
	require.True(t, there.Header.Logs.Beginning)
	d.print(web, "w2", 2)
	f.shows("web | w2 2\n")
	d.note(web, `{"ended":{"id":"w2","deployment":2}}`)
	require.Eventually(t, func() bool { return web.Send(stream.Notice, []byte(`{}`)) != nil }, time.Minute, time.Millisecond)

	// All are gone with the service.
	d.note(there, `{"begun":{"id":"w3","deployment":3}}`)
	d.release("4", fault.New(fault.NotFound, "service shop has been undeployed"))
	d.note(there, `{"ended":{"id":"w3","deployment":3}}`)
	f.says("web: service shop has been undeployed\n")
	d.note(api, `{"ended":{"id":"a2","deployment":2}}`)
	require.NoError(t, f.end())
}

func TestFollowGoesOnWhereAStreamBreaks(t *testing.T) {
	d := newDoors(t, "rift")
	d.release("1", nil, "api", "rift")
	f := d.follow()
	api := d.next("api", "rift")
	d.note(api, `{"read":true,"after":{"a1":{"time":"2026-11-30T05:00:00Z","lines":3}}}`)
	d.print(api, "a1", 4)
	f.shows("a1 4\n")
	d.cut()
	api = d.next("api", "rift")
	require.Equal(t, stream.Marks{"a1": runtime.LogMark{Time: time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC), Lines: 4}}, api.Header.Logs.After)
	f.says("api: it goes on where it was\n")
	require.Equal(t, 1, strings.Count(f.stderr.String(), "trying again"), f.stderr.String())
	d.print(api, "a1", 5)
	f.shows("a1 5\n")
	f.interrupt()
	require.ErrorIs(t, f.end(), exit.Interrupted)
}

func TestFollowEndsWhereLinesAreLost(t *testing.T) {
	d := newDoors(t, "rift")
	d.release("1", nil, "api", "rift")
	f := d.follow()
	api := d.next("api", "rift")
	d.note(api, `{"read":true}`)
	f.says("") // it follows
	require.NoError(t, api.Send(stream.Failure, []byte(`{"kind":"Invalid","message":"lines are lost"}`)))
	code, failed := exit.Classify(f.end())
	require.Equal(t, exit.Incomplete, code)
	require.Equal(t, "lines are lost", failed.Message)
	require.Equal(t, "rift", failed.Node)
}
