package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets/keys"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workers"
)

// Builder makes this process the builder while it follows workflows, if the
// configuration has the workspace and a definition has something to build. It may serve
// several workflows.
type Builder struct {
	Client client.Client
	Config *config.Config
	Logger *slog.Logger
	// Version is that of mcp, and Interceptors see each activity.
	Version      string
	Interceptors []interceptor.WorkerInterceptor
	// Output returns where the output of a build is shown; nil for nowhere.
	Output func(service, image string) io.Writer

	mu     sync.Mutex
	worker *workers.Workers // nil until something is to be built
}

// Serve starts the builder unless it runs or the definition has nothing to build
// here, and reports whether it builds for the definition. The caller must follow a
// workflow already: one that refuses this command may have its builds served by
// another process.
func (b *Builder) Serve(ctx context.Context, definition servicedef.Service) (bool, error) {
	if b.Config.Build.Workspace == "" || len(definition.Build.Images) == 0 {
		return false, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.worker != nil {
		return true, nil
	}
	passphrase, err := b.Config.SigningPassphrase()
	if err != nil {
		return false, fault.Wrap(fault.Invalid, err, "read the key that signs images")
	}
	w, err := b.start(ctx, workers.Options{
		Builder: &workers.Builder{
			Name:      b.Config.Build.Builder,
			Workspace: b.Config.Build.Workspace,
			Socket:    b.Config.Build.Socket,
			Logs:      b.Config.Build.Logs,
			Insecure:  b.Config.ImageRegistry.Insecure,
			AuthFile:  b.Config.ImageRegistry.AuthFile,
			Output:    b.Output,
			Policy:    b.Config.Node.Policy,
			KeyFile:   b.Config.BuilderKey(b.Config.Build.Builder),
			Signers:   func() ([]string, error) { return signers(b.Config) },
			Signing:   workers.Signing{KeyFile: b.Config.Build.SigningKeyFile, Passphrase: passphrase},
		},
		Logger:       b.Logger,
		Version:      b.Version,
		Interceptors: b.Interceptors,
	})
	if err != nil {
		return false, fmt.Errorf("serve builds: %w", err)
	}
	b.worker = w
	return true, nil
}

const (
	// startPatience is how long Temporal, or the gateway before it, may be away when the
	// builder starts: the workflow that it builds for goes on meanwhile.
	startPatience = time.Minute
	startPause    = 500 * time.Millisecond
)

// start starts the worker, and tries again if Temporal does not answer.
func (b *Builder) start(ctx context.Context, o workers.Options) (*workers.Workers, error) {
	for deadline := time.Now().Add(startPatience); ; {
		w, err := workers.Start(ctx, b.Client, o)
		away := errors.As(err, new(*serviceerror.DeadlineExceeded)) || errors.As(err, new(*serviceerror.Unavailable))
		if !away || ctx.Err() != nil || time.Now().After(deadline) {
			return w, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(startPause):
		}
	}
}

// signers returns those whose secrets this process takes as a builder: the signers that
// its configuration lists, and the operator who runs it.
func signers(cfg *config.Config) ([]string, error) {
	if _, err := os.Stat(cfg.Secrets.SigningKey); errors.Is(err, fs.ErrNotExist) {
		return cfg.Node.Signers, nil // this operator has signed nothing
	}
	key, err := keys.LoadSigning(cfg.Secrets.SigningKey)
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(cfg.Node.Signers), key.Signer().String()), nil
}

// Stop stops the builder, if it runs.
func (b *Builder) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.worker != nil {
		b.worker.Stop()
		b.worker = nil
	}
}
