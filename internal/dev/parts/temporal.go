package parts

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TemporalOptions configure Temporal's dev server.
type TemporalOptions struct {
	// Dir holds its database and its log.
	Dir string
	// Binary is Temporal's CLI, "temporal".
	Binary string
	// Port and UIPort are its ports on 127.0.0.1; 0 means the last one used in
	// Dir, or a free one.
	Port, UIPort int
	// Namespace is created if it is missing; "" means "default".
	Namespace string
	// Unsafe does not wait for the disk at a write: what a server has written outlives that
	// server, but not the machine.
	Unsafe bool
	// Codec is the URL at which the UI has payloads decrypted; "" for none.
	Codec string
}

// Temporal is a running Temporal server with its UI.
type Temporal struct {
	*Process
	namespace    string
	port, uiPort int
}

// retention is how long the history of a closed workflow is kept. With the dev
// server's default of a day, last week's deploy could not be inspected.
const retention = 30 * 24 * time.Hour

// StartTemporal starts Temporal's dev server and waits until it accepts
// workflows. A second start in the same Dir finds the workflows of the first.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find Temporal's directory: %w", err)
	}
	ports, err := ChooseTemporalPorts(dir, TemporalPorts{Frontend: o.Port, UI: o.UIPort})
	if err != nil {
		return nil, err
	}
	t := &Temporal{namespace: o.Namespace, port: ports.Frontend, uiPort: ports.UI}
	if t.namespace == "" {
		t.namespace = client.DefaultNamespace
	}
	for starts := 1; ; starts++ {
		ended, err := t.start(ctx, o, dir)
		if err == nil {
			return t, nil
		}
		if !ended || starts == temporalStarts || ctx.Err() != nil {
			return nil, err
		}
	}
}

// temporalStarts is how often Temporal's dev server is started before its end counts. It
// chooses ports for its parts before they listen there, and panics if another process has
// taken one meanwhile.
const temporalStarts = 3

// start starts the server once. Ended reports whether it ended before it was ready.
func (t *Temporal) start(ctx context.Context, o TemporalOptions, dir string) (ended bool, err error) {
	t.Process, err = Start(Command{
		Name:    "temporal",
		Path:    o.Binary,
		Args:    append(t.args(dir, o.Unsafe), o.codecArgs()...),
		Env:     []string{"GOMAXPROCS=" + strconv.Itoa(threads())},
		Dir:     dir,
		LogFile: filepath.Join(dir, "temporal.log"),
	})
	if err != nil {
		return false, err
	}
	err = t.WaitReady(ctx, t.ready)
	if err == nil {
		return false, nil
	}
	select {
	case <-t.Done():
		ended = true
	default:
	}
	t.Stop()
	return ended, err
}

// TemporalPorts are ports of 127.0.0.1.
type TemporalPorts struct{ Frontend, UI int }

// temporalPort is the name of the record of the frontend's port.
const temporalPort = "temporal"

// ChooseTemporalPorts chooses the ports that are 0: the last ones used in dir, or free
// ones.
func ChooseTemporalPorts(dir string, wanted TemporalPorts) (TemporalPorts, error) {
	if err := makeDir(dir, 0o700); err != nil {
		return wanted, fmt.Errorf("make Temporal's directory: %w", err)
	}
	var err error
	if wanted.Frontend, err = stickyPort(dir, temporalPort, wanted.Frontend); err != nil {
		return wanted, err
	}
	wanted.UI, err = stickyPort(dir, "temporal-ui", wanted.UI)
	return wanted, err
}

// TemporalAddress returns the address of the frontend that was chosen last for dir; "" for
// none.
func TemporalAddress(dir string) string {
	port, known := recordedPort(filepath.Join(dir, temporalPort+".port"))
	if !known {
		return ""
	}
	return loopback(port)
}

// Address returns the frontend's address.
func (t *Temporal) Address() string { return loopback(t.port) }

// UIURL returns the URL of the UI.
func (t *Temporal) UIURL() string { return "http://" + loopback(t.uiPort) }

// threads returns how many threads run the dev server's Go code: half the number
// of processors. The others are for workers, podman and containers; and a server
// whose threads are never all busy spends a quarter of its time searching for
// work for them.
func threads() int { return max(1, runtime.NumCPU()/2) }

// codecArgs give the UI its codec endpoint.
func (o TemporalOptions) codecArgs() []string {
	if o.Codec == "" {
		return nil
	}
	return []string{"--ui-codec-endpoint", o.Codec}
}

// args tunes the dev server for short activities: an activity costs about 100 ms
// with the defaults and about 10 ms tuned. The shard may poll its queue 500 times
// a second instead of 20; one partition needs no forwarding, unlike four; a
// thousand nodes may poll; and search attributes are not reloaded for each write,
// of which an activity has four. The database waits for the disk neither on each
// write nor after every 4 MB, but after 40; it is locked once, because the server
// is its only user, rather than for each statement; and it caches 32 MB in
// memory. It also lists when each worker last reported that it lives.
func (t *Temporal) args(dir string, unsafe bool) []string {
	synchronous := "synchronous=NORMAL"
	if unsafe {
		synchronous = "synchronous=OFF"
	}
	return []string{
		"server", "start-dev",
		"--disable-config-file", "--disable-config-env",
		"--ip", "127.0.0.1",
		"--port", strconv.Itoa(t.port),
		"--ui-port", strconv.Itoa(t.uiPort),
		"--namespace", t.namespace,
		"--db-filename", filepath.Join(dir, "temporal.db"),
		"--sqlite-pragma", "journal_mode=WAL",
		"--sqlite-pragma", synchronous,
		"--sqlite-pragma", "wal_autocheckpoint=10000",
		"--sqlite-pragma", "locking_mode=EXCLUSIVE",
		"--sqlite-pragma", "cache_size=-32000",
		"--search-attribute", "McpService=Keyword",
		"--search-attribute", "McpNode=KeywordList",
		"--search-attribute", "McpOutcome=Keyword",
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=500",
		"--dynamic-config-value", "matching.numTaskqueueReadPartitions=1",
		"--dynamic-config-value", "matching.numTaskqueueWritePartitions=1",
		"--dynamic-config-value", "frontend.namespaceCount=10000",
		"--dynamic-config-value", "system.enableActivityEagerExecution=true",
		"--dynamic-config-value", "frontend.WorkerHeartbeatsEnabled=true",
		"--dynamic-config-value", "frontend.ListWorkersEnabled=true",
		"--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=false",
		"--log-level", "warn",
	}
}

// ready returns nil if the frontend has the namespace with its retention set, and
// matching answers.
func (t *Temporal) ready(ctx context.Context) error {
	// Temporal's client waits a second after a refused connection; a plain dial
	// detects the listener sooner.
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.Address())
	if err != nil {
		return err
	}
	_ = conn.Close()
	c, err := client.DialContext(ctx, client.Options{
		HostPort:  t.Address(),
		Namespace: t.namespace,
		Logger:    log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	defer c.Close()
	service := c.WorkflowService()
	described, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: t.namespace})
	if err != nil {
		return err
	}
	if described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() < retention {
		_, err := service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
			Namespace: t.namespace,
			Config:    &namespace.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
		})
		if err != nil {
			return err
		}
	}
	_, err = service.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace:     t.namespace,
		TaskQueue:     &taskqueue.TaskQueue{Name: "control"},
		TaskQueueType: enums.TASK_QUEUE_TYPE_WORKFLOW,
	})
	return err
}
