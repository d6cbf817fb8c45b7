package workers_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.uber.org/goleak"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows/reads"
)

var quiet = slog.New(slog.DiscardHandler)

// platform is the programs that workers depend on. Each can be stopped, and
// restarts at the same address.
type platform struct {
	dir      string
	temporal *parts.Temporal
	postgres *parts.Postgres
	podman   *parts.Podman
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcp-workers-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) // Postgres runs as another user
	p := &platform{dir: dir}
	require.NoError(t, p.startTemporal(t.Context()))
	t.Cleanup(func() { p.temporal.Stop() })
	require.NoError(t, p.startPostgres(t.Context()))
	t.Cleanup(func() { require.NoError(t, p.postgres.Destroy()) })
	require.NoError(t, p.startPodman(t.Context()))
	t.Cleanup(func() { require.NoError(t, p.podman.Destroy()) })
	return p
}

func (p *platform) startTemporal(ctx context.Context) error {
	program, err := filepath.Abs("../bin/temporal")
	if err != nil {
		return err
	}
	p.temporal, err = parts.StartTemporal(ctx, parts.TemporalOptions{Unsafe: true, Dir: filepath.Join(p.dir, "temporal"), Binary: program})
	return err
}

func (p *platform) startPostgres(ctx context.Context) (err error) {
	p.postgres, err = parts.StartPostgres(ctx, parts.PostgresOptions{Unsafe: true, Dir: filepath.Join(p.dir, "postgres")})
	return err
}

func (p *platform) startPodman(ctx context.Context) (err error) {
	p.podman, err = parts.StartPodman(ctx, parts.PodmanOptions{Dir: filepath.Join(p.dir, "podman"), Private: true, Unfiltered: true})
	return err
}

// process holds all roles and a listener, as a process of mcp worker does.
type process struct {
	t        *testing.T
	client   client.Client
	listener *telemetry.Listener
	workers  *workers.Workers
}

func (p *platform) start(t *testing.T, interceptors ...interceptor.WorkerInterceptor) *process {
	t.Helper()
	measured := telemetry.New("test")
	c, err := measured.Connect(client.Options{HostPort: p.temporal.Address(), Logger: sdklog.NewStructuredLogger(quiet)})
	require.NoError(t, err)
	s := &process{t: t, client: c, listener: telemetry.Listen("127.0.0.1:0", measured.Handler(), quiet)}
	s.workers, err = workers.Start(t.Context(), c, workers.Options{
		Control:   &workers.Control{PostgresURL: p.postgres.URL(), Namespace: client.DefaultNamespace, MonitorInterval: time.Hour},
		Node:      &workers.Node{Name: "rift", Socket: p.podman.Socket(), Publish: "127.0.0.1"},
		Builder:   &workers.Builder{Name: "orion", Workspace: t.TempDir(), Socket: p.podman.Socket(), Logs: t.TempDir()},
		Logger:    quiet,
		Version:   "v1",
		Telemetry: measured, Interceptors: interceptors, Grace: time.Minute,
	})
	require.NoError(t, err)
	return s
}

// get sends a request to the process, which must answer.
func (s *process) get(path string) (status int, text string) {
	s.t.Helper()
	status, text, err := get(s.t.Context(), s.listener.Address(), path)
	require.NoError(s.t, err)
	return status, text
}

// get sends a request to an address, and closes the connection.
func get(ctx context.Context, address, path string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// readiness reads /readyz.
func (s *process) readiness() telemetry.Readiness {
	s.t.Helper()
	status, text := s.get("/readyz")
	var ready telemetry.Readiness
	require.NoError(s.t, json.Unmarshal([]byte(text), &ready), text)
	require.Equal(s.t, ready.Ready, status == http.StatusOK, text)
	return ready
}

// failing returns the names of the checks that fail.
func failing(ready telemetry.Readiness) []string {
	var names []string
	for _, check := range ready.Checks {
		if !check.OK {
			names = append(names, check.Name)
		}
	}
	return names
}

// awaitFailing waits until exactly the checks with these names fail.
func (s *process) awaitFailing(names ...string) telemetry.Readiness {
	s.t.Helper()
	var ready telemetry.Readiness
	require.Eventually(s.t, func() bool {
		ready = s.readiness()
		return strings.Join(failing(ready), "; ") == strings.Join(names, "; ")
	}, time.Minute, 50*time.Millisecond, "want %v", names)
	return ready
}

// TestReadiness stops and restarts the parts that a real process depends on, one
// after the other.
func TestReadiness(t *testing.T) {
	p := newPlatform(t)
	s := p.start(t)
	t.Cleanup(func() { s.workers.Stop(); s.listener.Close(); s.client.Close() })
	podman := "podman at " + p.podman.Socket()
	polls := []string{"poll build-orion (activities)", "poll control (activities)", "poll control (workflows)", "poll node-rift (activities)"}

	ready := s.awaitFailing()
	require.True(t, ready.Ready)
	queue, err := s.client.DescribeTaskQueue(t.Context(), activities.QueueControl, enums.TASK_QUEUE_TYPE_WORKFLOW)
	require.NoError(t, err)
	require.NotEmpty(t, queue.Pollers)
	poller := strings.ReplaceAll(queue.Pollers[0].String(), " ", "")
	require.Contains(t, poller, `build_id:"v1"`, "the program is not hashed for an identity")
	var names []string
	for _, check := range ready.Checks {
		names = append(names, check.Name)
	}
	require.Equal(t, slices.Concat([]string{"encryption keys", "monitor", podman, "policy of builder orion", "policy of rift"}, polls, []string{"postgres", "schedules", "tables", "temporal"}), names)

	for _, part := range []struct {
		name  string
		stop  func()
		start func(context.Context) error
		fails []string
	}{
		{"podman", p.podman.Stop, p.startPodman, []string{podman}},
		{"Postgres", p.postgres.Stop, p.startPostgres, []string{"encryption keys", "monitor", "postgres", "tables"}},
		{"Temporal", p.temporal.Stop, p.startTemporal, append(slices.Clone(polls), "schedules", "temporal")},
	} {
		part.stop()
		ready := s.awaitFailing(part.fails...)
		for _, check := range ready.Checks {
			require.Equal(t, check.OK, check.Reason == "", "%s: %q", check.Name, check.Reason)
		}
		status, _ := s.get("/healthz")
		require.Equal(t, http.StatusOK, status, "without %s the process stays alive", part.name)
		require.NoError(t, part.start(t.Context()), part.name)
		require.True(t, s.awaitFailing().Ready)
	}
}

// held is an activity that blocks until it is released.
type held struct {
	interceptor.WorkerInterceptorBase
	activity    string
	began, free chan struct{}
}

func hold(activity string) *held {
	return &held{activity: activity, began: make(chan struct{}), free: make(chan struct{})}
}

func (h *held) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &heldActivity{interceptor.ActivityInboundInterceptorBase{Next: next}, h}
}

type heldActivity struct {
	interceptor.ActivityInboundInterceptorBase
	held *held
}

func (a *heldActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if activity.GetInfo(ctx).ActivityType.Name == a.held.activity {
		close(a.held.began) // panics on a second attempt
		<-a.held.free
	}
	return a.Next.ExecuteActivity(ctx, in)
}

// TestStop stops a real process while an activity runs, and checks the order: not
// ready, activity done, listener closed. No goroutine is left.
func TestStop(t *testing.T) {
	p := newPlatform(t)
	before := goleak.IgnoreCurrent() // those that supervise the parts
	listing := hold("ListContainers")
	s := p.start(t, listing)
	require.True(t, s.awaitFailing().Ready)
	_, err := s.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: activities.QueueControl},
		reads.ProcessesName, reads.ProcessesInput{Nodes: []string{"rift"}})
	require.NoError(t, err)
	<-listing.began

	stopped := make(chan struct{})
	go func() { s.workers.Stop(); close(stopped) }()
	require.Eventually(t, func() bool { return !s.readiness().Ready }, time.Minute, time.Millisecond)
	require.Equal(t, "it is stopping", s.readiness().Reason)
	status, _ := s.get("/healthz")
	require.Equal(t, http.StatusOK, status, "it is still alive")
	select {
	case <-stopped:
		require.Fail(t, "it stopped while an activity was running")
	default:
	}
	close(listing.free)
	<-stopped
	_, text := s.get("/metrics")
	require.Contains(t, text, `mcp_step_seconds_count{activity="ListContainers",outcome="succeeded"} 1`, "the last scrape is complete")
	require.False(t, s.readiness().Ready)

	address := s.listener.Address()
	s.listener.Close()
	_, _, err = get(t.Context(), address, "/healthz")
	require.Error(t, err)
	s.client.Close()
	goleak.VerifyNone(t, before)
}
