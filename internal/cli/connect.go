package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows"
)

// connectPatience is how long the control plane may take to answer at all.
const connectPatience = 4 * time.Second

// config loads the configuration; the verb's flags go over it.
func (a *App) config(flags ...func(*config.Config)) (*config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	path, err := config.Find(a.configFile, a.Getenv, dir)
	if err != nil {
		return nil, usageError{err}
	}
	cfg, err := config.Load(path, a.Getenv, flags...)
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

// logger is for what the SDK and a builder inside this process have to say:
// nothing that an operator needs, unless --debug asks for it.
func (a *App) logger() *slog.Logger {
	if !a.debug {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// connect connects to Temporal. One that does not answer is an
// unreachableError that names the address.
func (a *App) connect(ctx context.Context, cfg *config.Config) (client.Client, error) {
	options, err := cfg.TemporalOptions()
	if err != nil {
		return nil, usageError{err}
	}
	options.Logger = sdklog.NewStructuredLogger(a.logger())
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, unreachableError{fault.New(fault.Unavailable, "Temporal at %s does not answer", options.HostPort).
			WithHint("start it (mcp dev starts a local one), or set [temporal] address in mcp.toml; this configuration is %s", cfg.Describe())}
	}
	return c, nil
}

// read runs a workflow that only reads, and decodes its result.
func (a *App) read(ctx context.Context, c client.Client, verb, workflow string, in, out any) error {
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       workflows.ReadID(verb, nonce()),
		TaskQueue:                workflows.Queue,
		WorkflowExecutionTimeout: time.Minute, // there is nothing to undo
		StaticSummary:            "mcp " + verb,
	}, workflow, in)
	if err != nil {
		return startFault(err)
	}
	watch, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		if err := controlAnswers(watch, c); err != nil {
			stop(err)
		}
	}()
	err = run.Get(watch, out)
	switch cause := context.Cause(watch); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return exitError(exitInterrupted)
	case cause != nil:
		return cause
	}
	return workflows.FaultOf(err)
}

// controlAnswers fails when nobody has polled the control queue for a while:
// then a workflow would wait for ever, and silently.
func controlAnswers(ctx context.Context, c client.Client) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(connectPatience):
	}
	queue, err := c.DescribeTaskQueue(ctx, workflows.Queue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil || len(queue.GetPollers()) > 0 {
		return nil // it answers, or Temporal itself will say what is wrong
	}
	return unreachableError{fault.New(fault.Unavailable, "no control worker polls the queue %s", workflows.Queue).
		WithHint("start one: mcp worker --control")}
}

// startFault says why a workflow could not be started.
func startFault(err error) error {
	if errors.Is(err, context.Canceled) {
		return exitError(exitInterrupted)
	}
	return unreachableError{fault.Wrap(fault.Unavailable, err, "start the workflow")}
}
