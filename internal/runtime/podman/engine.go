// Package podman drives podman through its API socket. It alone imports
// podman's bindings, and no type and no error of theirs leaves it.
package podman

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/containers/podman/v5/pkg/bindings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Engine is the podman behind one socket. It may be used by several
// goroutines, and it survives restarts of podman's service.
type Engine struct {
	socket   string
	authFile string // "" for where podman login writes
	stops    stops

	pruning sync.Mutex // held by PruneImage

	mu         sync.Mutex
	connection *bindings.Connection // nil until first needed
	info       runtime.EngineInfo
}

var _ runtime.Runtime = (*Engine)(nil)

// New returns an Engine for a socket, "unix:///run/podman/podman.sock" or the
// path alone. It does not connect: podman may come later.
func New(socket string) *Engine {
	if path.IsAbs(socket) {
		socket = "unix://" + socket
	}
	return &Engine{socket: socket, authFile: defaultAuthFile()}
}

// LoginsFrom names the file with the credentials for image registries; ""
// leaves it where podman's own commands look. Podman's service knows other
// places, but heeds whoever calls it.
func (e *Engine) LoginsFrom(file string) *Engine {
	e.authFile = cmp.Or(file, e.authFile)
	return e
}

// Connect is New for a podman that has to be there already.
func Connect(ctx context.Context, socket string) (*Engine, error) {
	e := New(socket)
	if _, err := e.Version(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Close ends the connections that no call is using.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.connection == nil {
		return
	}
	e.connection.Client.CloseIdleConnections()
}

// Version is "podman" and its server's version. It is in the answer to a ping,
// which takes a millisecond; podman's own version endpoint also asks conmon
// and the OCI runtime for theirs, and takes half a second.
func (e *Engine) Version(ctx context.Context) (string, error) {
	const doing = "ask for podman's version"
	response, err := e.send(ctx, get("/_ping"))
	if err != nil {
		return "", e.translate(ctx, err, doing)
	}
	defer func() { _ = response.Body.Close() }()
	version := response.Header.Get("Libpod-API-Version")
	if !response.IsSuccess() || version == "" {
		return "", e.translate(ctx, fmt.Errorf("podman answers %s", response.Status), doing)
	}
	return "podman " + version, nil
}

// connect returns the connection to podman. It is made when it is first needed;
// after that its HTTP client dials again by itself whenever podman's service
// was restarted.
func (e *Engine) connect(ctx context.Context) (*bindings.Connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Given no address, the bindings would take one from the environment.
	if !strings.HasPrefix(e.socket, "unix:///") {
		return nil, fault.New(fault.Invalid, "use podman's socket %q: want unix:///path/of/podman.sock", e.socket)
	}
	e.mu.Lock()
	connection := e.connection
	e.mu.Unlock()
	if connection != nil {
		return connection, nil
	}
	// The bindings keep a connection among a context's values.
	made, err := bindings.NewConnection(ctx, e.socket)
	if err != nil {
		return nil, err
	}
	connection, err = bindings.GetClient(made)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.connection = connection
	e.mu.Unlock()
	return connection, nil
}
