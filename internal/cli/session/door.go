package session

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// renewTime bounds how long a command waits for the next certificate while the present
// one is valid, and explainTime the question why a gateway does not serve it.
const renewTime, explainTime = 3 * time.Second, 3 * time.Second

// readyIdentity returns an error if the identity for the gateways cannot be used. It
// renews the certificate when that is due.
func readyIdentity(ctx context.Context, cfg *config.Config) error {
	d := cfg.Door.Directory()
	held, err := d.Read()
	if err != nil {
		return exit.Unreachable(fault.Of(err))
	}
	if time.Now().Before(held.Due()) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	if err := enrol.Renew(limited, cfg.Door.Addresses, d); err != nil && time.Now().After(held.Certificate.NotAfter) {
		return exit.Unreachable(fault.Of(explained(ctx, cfg, err)))
	}
	return exit.IfInterrupted(ctx)
}

// doorError returns the error of a connection to the gateways.
func doorError(ctx context.Context, cfg *config.Config, err error) error {
	at := strings.Join(cfg.Door.Addresses, " ")
	f := fault.New(fault.Unavailable, "the gateway at %s does not answer: %s", at, dialCause(err)).
		WithHint("start it, or correct [door] addresses; this configuration is %s", cfg.Describe())
	if dir := filepath.Dir(cfg.File()); filepath.Base(dir) == config.DevDir {
		f = f.WithHint("start the local platform: mcp dev --dir %s", dir)
	}
	return exit.Unreachable(fault.Of(explained(ctx, cfg, f)))
}

// explained returns err or, if this machine can find out why the gateways do not serve it, an
// error that says so.
func explained(ctx context.Context, cfg *config.Config, err error) error {
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	if refusal := enrol.Refusal(ctx, cfg.Door.Addresses, cfg.Door.Directory()); refusal != nil {
		return refusal
	}
	return err
}

// dialCause returns the end of gRPC's message about a connection, where the cause is;
// before it are the layers that it passed.
func dialCause(err error) string {
	text := strings.TrimSuffix(err.Error(), `"`)
	for _, layer := range []string{"desc = ", "Error while dialing: ", "failed reaching server: "} {
		if i := strings.LastIndex(text, layer); i >= 0 {
			text = text[i+len(layer):]
		}
	}
	return strings.TrimPrefix(text, `"`)
}
