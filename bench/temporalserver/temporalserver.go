package temporalserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// Options configure a server.
type Options struct {
	// Dir holds its configuration, its ports and its log.
	Dir string
	// Binary is the server, SQLTool its temporal-sql-tool.
	Binary, SQLTool string
	// PostgresURL is the address of a Postgres server, with a user that may
	// create databases: temporal and temporal_visibility.
	PostgresURL string
	// Shards is the number of history shards, 4 if 0. It cannot change once the
	// databases exist.
	Shards int
	// DynamicConfig is a file; "" means the server's defaults.
	DynamicConfig string
	// Retention is how long the namespace default keeps closed workflows, 72 h
	// if 0. It applies when the namespace is created.
	Retention time.Duration
}

// Server is a running Temporal server: frontend, history, matching and worker
// in one process.
type Server struct {
	*parts.Process
	address string
}

// Start starts a server and waits until it accepts workflows. Another start with
// the same Dir and databases finds the workflows of the first.
func Start(ctx context.Context, o Options) (*Server, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the server's directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "config"), 0o700); err != nil {
		return nil, fmt.Errorf("make the server's directory: %w", err)
	}
	store, err := parseStore(o.PostgresURL)
	if err != nil {
		return nil, err
	}
	if err := store.prepare(ctx, o.SQLTool); err != nil {
		return nil, err
	}
	ports, err := keptPorts(dir)
	if err != nil {
		return nil, err
	}
	if err := writeConfig(dir, cmp.Or(o.Shards, 4), o.DynamicConfig, store, ports); err != nil {
		return nil, err
	}
	s := &Server{address: loopback(ports["frontend"].RPC)}
	s.Process, err = parts.Start(parts.Command{
		Name:    "temporal-server",
		Path:    o.Binary,
		Args:    []string{"--root", dir, "--config", "config", "--allow-no-auth", "start"},
		Dir:     dir,
		LogFile: filepath.Join(dir, "temporal-server.log"),
	})
	if err != nil {
		return nil, err
	}
	retention := cmp.Or(o.Retention, 72*time.Hour)
	if err := s.WaitReady(ctx, func(ctx context.Context) error { return s.ready(ctx, retention) }); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Address returns the frontend's address, for clients and workers.
func (s *Server) Address() string { return s.address }

// Dial connects to the namespace default.
func (s *Server) Dial(ctx context.Context) (client.Client, error) {
	return client.DialContext(ctx, config.Tuned(client.Options{
		HostPort: s.address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	}))
}

// ready creates the namespace default if it is missing, and returns nil if
// matching answers for it.
func (s *Server) ready(ctx context.Context, retention time.Duration) error {
	// Temporal's client waits a second after a refused connection.
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	_ = conn.Close()
	c, err := s.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: client.DefaultNamespace, WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	if err != nil && !errors.As(err, new(*serviceerror.NamespaceAlreadyExists)) {
		return err
	}
	_, err = c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace:     client.DefaultNamespace,
		TaskQueue:     &taskqueue.TaskQueue{Name: "control"},
		TaskQueueType: enums.TASK_QUEUE_TYPE_WORKFLOW,
	})
	return err
}
