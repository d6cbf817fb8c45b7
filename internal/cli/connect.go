package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
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

// open loads the configuration and connects.
func (a *App) open(ctx context.Context) (*config.Config, client.Client, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	c, err := a.connect(ctx, cfg)
	return cfg, c, err
}

// connect connects to Temporal. One that does not answer is an
// unreachableError that names the address.
func (a *App) connect(ctx context.Context, cfg *config.Config) (client.Client, error) {
	options, err := cfg.TemporalOptions()
	if err != nil {
		return nil, usageError{err}
	}
	options.Logger = sdklog.NewStructuredLogger(a.logger())
	dial, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	c, err := client.DialContext(dial, options)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, exitError(exitInterrupted)
	case kindOf(err) == fault.Unauthorized:
		return nil, temporalFault(err)
	}
	from := "set [temporal] address in mcp.toml; this configuration is " + cfg.Describe()
	if a.Getenv("TEMPORAL_ADDRESS") != "" {
		from = "mend $TEMPORAL_ADDRESS, which holds over any configuration"
	}
	return nil, unreachableError{fault.New(fault.Unavailable, "Temporal at %s does not answer: %s", options.HostPort, dialCause(err)).
		WithHint("start it (mcp dev starts a local one), or %s", from)}
}

// dialCause is the end of what gRPC says of a connection, where the cause is:
// before it are the layers that it went through.
func dialCause(err error) string {
	text := strings.TrimSuffix(err.Error(), `"`)
	for _, layer := range []string{"desc = ", "Error while dialing: ", "failed reaching server: "} {
		if i := strings.LastIndex(text, layer); i >= 0 {
			text = text[i+len(layer):]
		}
	}
	return strings.TrimPrefix(text, `"`)
}

// temporalFault says why Temporal refused a call, or that it did not answer.
func temporalFault(err error) error {
	if errors.Is(err, context.Canceled) {
		return exitError(exitInterrupted)
	}
	kind := kindOf(err)
	f := fault.Wrap(kind, err, "ask Temporal")
	var namespace *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &namespace):
		f = fault.New(fault.Unavailable, "Temporal has no namespace %s", namespace.Namespace).
			WithHint("make it: temporal operator namespace create --namespace %s; then start a control worker: mcp worker --control", namespace.Namespace)
		return unreachableError{f}
	case kind == fault.Invalid && strings.Contains(err.Error(), "no mapping defined for search attribute"):
		f = fault.New(fault.Unavailable, "no control worker has served %s yet", namespaceIn(err)).
			WithHint("start one: mcp worker --control")
		return unreachableError{f}
	case kind == fault.Unavailable, kind == fault.Unauthorized:
		return unreachableError{f}
	}
	return f
}

// namespaceIn is the namespace that "Namespace x has no mapping …" names.
func namespaceIn(err error) string {
	_, text, _ := strings.Cut(err.Error(), "Namespace ")
	name, _, found := strings.Cut(text, " ")
	if !found {
		return "this namespace"
	}
	return "namespace " + name
}

// kindOf is the kind of an error of Temporal's. All but Unavailable stay as
// they are when the call is made again.
func kindOf(err error) fault.Kind {
	switch serviceerror.ToStatus(err).Code().String() {
	case "InvalidArgument":
		return fault.Invalid
	case "NotFound":
		return fault.NotFound
	case "PermissionDenied", "Unauthenticated":
		return fault.Unauthorized
	}
	return fault.Unavailable
}
