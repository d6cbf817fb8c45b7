package role_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/access"
	"github.com/metacircular/mcp/edge/proxy"
	"github.com/metacircular/mcp/edge/role"
	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/stream"
	"github.com/metacircular/mcp/internal/stream/streamtest"
)

// listeners is a server that listens on nothing, and remembers on what it should.
type listeners struct {
	mu       sync.Mutex
	ports    []int
	problems []string
}

func (l *listeners) Apply(t *table.Table) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports = []int{}
	for _, p := range t.Ports() {
		l.ports = append(l.ports, p.Number)
	}
	return l.problems
}

func (l *listeners) Problems() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problems
}

func (l *listeners) Certificates() []fleet.Certificate { return nil }

func (l *listeners) Listening() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ports
}

func (l *listeners) fail(problems ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = problems
}

// booted is an edge that has started with a directory.
type booted struct {
	*role.Router
	proxy  *proxy.Proxy
	server *listeners
}

func boot(t *testing.T, data string) booted {
	t.Helper()
	logs, err := access.Open(filepath.Join(data, "logs"), 0)
	require.NoError(t, err)
	t.Cleanup(logs.Close)
	b := booted{proxy: proxy.New(proxy.Options{}), server: &listeners{}}
	b.Router, err = role.NewRouter(role.RouterOptions{Proxy: b.proxy, Server: b.server, Access: logs, Data: data, Machine: fleet.Machine{ID: "here"}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return b
}

func admitted(publications ...fleet.Publication) fleet.EdgeAnswer {
	return fleet.EdgeAnswer{Admitted: true, Publications: publications}
}

// publication is one of a service with a route on a port; 0 for none.
func publication(service string, version int64, port int) fleet.Publication {
	p := fleet.Publication{Service: service, Version: version}
	if port > 0 {
		p.Routes = []fleet.EdgeRoute{{
			Endpoint: fleet.Endpoint{Port: port, Protocol: fleet.ProtocolHTTP, Hostname: service + ".example"},
			Name:     "http", Components: []string{"web"}, Upstreams: []string{"127.0.0.1:1"},
		}}
	}
	return p
}

func versions(r booted) map[string]int64 { return r.Status(context.Background()).Versions }

func TestAnEdgeServesWhatItHadBeforeItsBoot(t *testing.T) {
	data := t.TempDir()
	first := boot(t, data)
	require.Empty(t, first.server.Listening())
	require.False(t, first.Admitted())
	first.Answer(admitted(publication("shop", 3, 443), publication("blog", 2, 80), publication("gone", 9, 0)))
	require.Empty(t, first.Publish(t.Context(), []fleet.Publication{publication("shop", 4, 8443), publication("blog", 1, 1)}))

	// Nothing has stopped the first: it was killed.
	second := boot(t, data)
	require.True(t, second.Admitted())
	require.Equal(t, []int{80, 8443}, second.server.Listening())
	require.Equal(t, map[string]int64{"shop": 4, "blog": 2, "gone": 9}, versions(second))
	require.Equal(t, publication("shop", 4, 8443), second.proxy.Published()["shop"])

	t.Run("an older publication does not return", func(t *testing.T) {
		second.Answer(admitted(publication("gone", 8, 443), publication("shop", 3, 443)))
		require.Equal(t, []int{80, 8443}, second.server.Listening())
		require.Equal(t, int64(9), versions(second)["gone"])
	})
	t.Run("a service that an answer lacks stays", func(t *testing.T) {
		second.Answer(admitted())
		require.Equal(t, []int{80, 8443}, second.server.Listening())
	})
	t.Run("files are private", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(data, "publications", "shop.json"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})
}

// An edge would reach itself at the loopback address of another host.
func TestAnEdgeLeavesOutWhatOnlyAnotherHostReaches(t *testing.T) {
	data := t.TempDir()
	first := boot(t, data)
	near, far := publication("near", 1, 443), publication("far", 1, 443)
	near.Routes[0].Local, far.Routes[0].Local = map[string]string{"127.0.0.1:1": "here"}, map[string]string{"127.0.0.1:1": "there"}
	first.Answer(admitted(near))
	const problem = "containers of far at 127.0.0.1:1 are reached from their own host alone: set publish in [node] of its mcp.toml"
	require.Equal(t, []string{problem}, first.Publish(t.Context(), []fleet.Publication{far}))
	for _, b := range []booted{first, boot(t, data)} {
		require.Equal(t, []string{"127.0.0.1:1"}, b.proxy.Published()["near"].Upstreams())
		require.Empty(t, b.proxy.Published()["far"].Upstreams())
		require.Equal(t, []string{problem}, b.Status(t.Context()).Problems)
		require.Equal(t, map[string]int64{"near": 1, "far": 1}, versions(b))
	}
	far = publication("far", 2, 443)
	far.Routes[0].Upstreams = []string{"10.0.0.2:1"}
	require.Empty(t, first.Publish(t.Context(), []fleet.Publication{far}))
}

func TestADamagedFileKeepsNothingElseFromBeingServed(t *testing.T) {
	for name, damage := range map[string]string{
		"empty":                      "",
		"cut":                        `{"service":"blog","vers`,
		"of another service":         `{"service":"shop","version":9}`,
		"without a version":          `{"service":"blog"}`,
		"with a port that is none":   `{"service":"blog","version":9,"routes":[{"endpoint":{"port":0,"protocol":"http"}}]}`,
		"with an unknown protocol":   `{"service":"blog","version":9,"routes":[{"endpoint":{"port":1,"protocol":"x"}}]}`,
		"longer than it may be":      `{"service":"blog","version":9}` + string(make([]byte, 4<<20)),
		"not what a publication is":  `["blog"]`,
		"with a number for its name": `{"service":7,"version":9}`,
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			first := boot(t, data)
			first.Answer(admitted(publication("shop", 3, 443), publication("blog", 2, 80)))
			path := filepath.Join(data, "publications", "blog.json")
			require.NoError(t, os.WriteFile(path, []byte(damage), 0o600))
			// What a write that was interrupted leaves is none of it.
			require.NoError(t, os.WriteFile(filepath.Join(data, "publications", ".shop.json123"), nil, 0o600))

			second := boot(t, data)
			require.Equal(t, []int{443}, second.server.Listening())
			status := second.Status(t.Context())
			require.Equal(t, map[string]int64{"shop": 3}, status.Versions)
			require.Len(t, status.Problems, 1)
			require.Contains(t, status.Problems[0], "blog is not served until its next publication: the file "+path+" is damaged")

			second.Answer(admitted(publication("blog", 2, 80)))
			require.Empty(t, second.Status(t.Context()).Problems)
			require.Equal(t, []int{80, 443}, boot(t, data).server.Listening())
		})
	}
}

func TestAnEdgeThatIsNotAdmittedServesNothingAndKeepsItsFiles(t *testing.T) {
	data := t.TempDir()
	first := boot(t, data)
	first.Answer(admitted(publication("shop", 3, 443)))
	first.Answer(fleet.EdgeAnswer{})
	require.Empty(t, first.server.Listening())

	second := boot(t, data) // the ports may belong to another service by now
	require.False(t, second.Admitted())
	require.Empty(t, second.server.Listening())
	require.FileExists(t, filepath.Join(data, "publications", "shop.json"))

	second.Answer(admitted(publication("shop", 4, 80)))
	require.Equal(t, []int{80}, second.server.Listening())
	require.Equal(t, []int{80}, boot(t, data).server.Listening())

	t.Run("nor one whose name was refused", func(t *testing.T) {
		second.Refuse()
		require.Empty(t, second.server.Listening())
		require.Empty(t, boot(t, data).server.Listening())
	})
}

func TestAPublicationWaitsForTheAdmission(t *testing.T) {
	r := boot(t, t.TempDir())
	done := make(chan []string)
	go func() { done <- r.Publish(t.Context(), []fleet.Publication{publication("shop", 3, 443)}) }()
	select {
	case <-done:
		t.Fatal("published before the edge was admitted")
	case <-r.Asked():
	}
	r.Answer(admitted())
	require.Empty(t, <-done)
	require.Equal(t, []int{443}, r.server.Listening())

	t.Run("and nothing asks whether it is admitted yet", func(t *testing.T) {
		go func() { done <- r.Publish(t.Context(), nil) }()
		<-r.Asked()
		r.Answer(fleet.EdgeAnswer{})
		require.Len(t, <-done, 1)
		require.Empty(t, r.server.Listening())
	})

	t.Run("for a bounded time", func(t *testing.T) {
		r := boot(t, t.TempDir())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		problems := r.Publish(ctx, []fleet.Publication{publication("shop", 3, 443)})
		require.Len(t, problems, 1)
		require.Contains(t, problems[0], "does not know yet that it is admitted")
		require.Empty(t, versions(r), "it is not acknowledged")
	})
}

func TestAPublicationIsAcknowledgedWhenItIsOnDisk(t *testing.T) {
	data := t.TempDir()
	r := boot(t, data)
	r.Answer(admitted(publication("shop", 3, 443)))
	// A directory in the way of the file: no new content can replace it.
	path := filepath.Join(data, "publications", "shop.json")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.MkdirAll(filepath.Join(path, "x"), 0o700))

	problems := r.Publish(t.Context(), []fleet.Publication{publication("shop", 4, 80)})
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], "the publication of shop is not on disk, and so not acknowledged")
	require.Equal(t, []int{80}, r.server.Listening(), "requests do not suffer")
	require.Equal(t, map[string]int64{"shop": 3}, versions(r))
	_, keeping := r.Problems()
	require.Equal(t, problems, keeping)

	require.NoError(t, os.RemoveAll(path))
	r.Mend()
	require.Equal(t, map[string]int64{"shop": 4}, versions(r))
	require.Empty(t, r.Status(t.Context()).Problems)
	require.Equal(t, []int{80}, boot(t, data).server.Listening())
}

func TestAPortThatIsTakenIsAProblem(t *testing.T) {
	r := boot(t, t.TempDir())
	r.Answer(admitted())
	r.server.fail("port 443 is taken")
	require.Equal(t, []string{"port 443 is taken"}, r.Publish(t.Context(), []fleet.Publication{publication("shop", 1, 443)}))
	require.Equal(t, []string{"port 443 is taken"}, r.Publish(t.Context(), []fleet.Publication{publication("shop", 1, 443)}), "the second time too")
	listening, _ := r.Problems()
	require.Equal(t, []string{"port 443 is taken"}, listening)
	r.server.fail()
	require.Empty(t, r.Status(t.Context()).Problems)
}

func TestWhatAnotherProcessHasWrittenIsServed(t *testing.T) {
	data := t.TempDir()
	former := boot(t, data)
	former.Answer(admitted(publication("shop", 1, 443)))
	next := boot(t, data)
	former.Publish(t.Context(), []fleet.Publication{publication("shop", 2, 80)})
	require.Equal(t, []int{443}, next.server.Listening())
	require.NoError(t, next.Reload())
	require.Equal(t, []int{80}, next.server.Listening())
	former.Answer(fleet.EdgeAnswer{})
	require.NoError(t, next.Reload())
	require.Empty(t, next.server.Listening())
}

func TestAPublicationThatCannotBeOneIsRefused(t *testing.T) {
	data := t.TempDir()
	r := boot(t, data)
	r.Answer(admitted())
	problems := r.Publish(t.Context(), []fleet.Publication{
		publication("../../shop", 1, 443), publication("", 1, 443), publication("shop", 0, 443), publication("blog", 1, 80),
		{Service: "many", Version: 1, Routes: make([]fleet.EdgeRoute, 1001)},
	})
	require.Len(t, problems, 4)
	require.Equal(t, map[string]int64{"blog": 1}, versions(r))
	entries, err := os.ReadDir(filepath.Join(data, "publications"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	_, err = r.AccessLog(t.Context(), "../shop", 1, time.Time{})
	require.Error(t, err)
}

func TestTwoServicesWithOneEndpointAreReported(t *testing.T) {
	r := boot(t, t.TempDir())
	rival := publication("shop", 1, 443)
	rival.Service = "rival"
	rival.Version = 2
	r.Answer(admitted(publication("shop", 1, 443), rival))
	require.Equal(t, []string{"shop publishes shop.example:443 too, which rival serves"}, r.Status(t.Context()).Problems)
}

func TestReach(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	r := boot(t, t.TempDir())
	open, shut := listener.Addr().String(), closed.Addr().String()
	result := r.Reach(t.Context(), []string{open, shut, "not an address"})
	problems := result.Problems
	require.Len(t, problems, 2)
	require.Contains(t, problems[shut], "connection refused")
	require.Contains(t, problems["not an address"], "missing port")
	require.Empty(t, result.Silent, "the host answers")
}

// TestAnAccessLogIsReadThroughAGateway has an operator read it by a stream.
func TestAnAccessLogIsReadThroughAGateway(t *testing.T) {
	data := t.TempDir()
	logs, err := access.Open(filepath.Join(data, "logs"), 0)
	require.NoError(t, err)
	for i := range 5000 {
		logs.Log("shop", fleet.Access{Time: time.Now().Add(-time.Duration(5000-i) * time.Minute), Path: fmt.Sprintf("/%04d", i)})
	}
	logs.Close()
	r := boot(t, data)
	operator := streamtest.Behind(t, &stream.Hub{}, stream.Node{Name: "front", Role: identity.Edge, Handle: r.Stream})
	read := func(asked stream.AccessRequest) []string {
		t.Helper()
		call, err := operator.Call(t.Context(), stream.Header{Verb: stream.Access, Edge: "front", Service: "shop", Access: &asked})
		require.NoError(t, err)
		var text strings.Builder
		code, err := call.Receive(&text, io.Discard)
		require.NoError(t, err)
		require.Zero(t, code)
		return slices.Collect(strings.Lines(text.String()))
	}
	all := read(stream.AccessRequest{Lines: 5000})
	require.Len(t, all, 5000)
	var last fleet.Access
	require.NoError(t, json.Unmarshal([]byte(all[4999]), &last))
	require.Equal(t, "/4999", last.Path)
	require.Equal(t, all[4997:], read(stream.AccessRequest{Lines: 3}))
	require.Len(t, read(stream.AccessRequest{Lines: 5000, Since: 150 * time.Second}), 2)
}
