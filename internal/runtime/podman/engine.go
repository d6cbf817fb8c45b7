package podman

import (
	"cmp"
	"context"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/containers/podman/v5/pkg/bindings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/logins"
)

// Engine is the podman behind one socket. It is safe for concurrent use and
// survives restarts of podman's service.
type Engine struct {
	socket   string
	authFile string        // "" for the files of podman login and docker login
	longest  time.Duration // bounds the bounds of every call; 0 in production
	stops    stops
	// platforms holds those of images, by id.
	platforms sync.Map
	checked   sync.Map // by id, the containers that Check has checked

	pruning sync.Mutex // held by PruneImage

	filesDir string
	placing  sync.RWMutex // held for reading from placing a container's files until it exists

	mu         sync.Mutex
	connection *bindings.Connection // nil until first used
	info       runtime.EngineInfo   // of its Version
}

var _ runtime.Runtime = (*Engine)(nil)

// New returns an Engine for a socket, "unix:///run/podman/podman.sock" or the
// path alone. It does not connect: podman may be started later.
func New(socket string) *Engine {
	if path.IsAbs(socket) {
		socket = "unix://" + socket
	}
	return &Engine{socket: socket, authFile: logins.DefaultFile()}
}

// LoginsFrom sets the file with the credentials for image registries; "" keeps
// the files of podman's own commands. Podman's service may read other files, but
// uses the credentials that a request holds.
func (e *Engine) LoginsFrom(file string) *Engine {
	e.authFile = cmp.Or(file, e.authFile)
	return e
}

// Close closes idle connections.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.connection == nil {
		return
	}
	e.connection.Client.CloseIdleConnections()
}

// connect returns the connection to podman, which it makes at the first call.
// The connection's HTTP client dials again after a restart of podman's service.
func (e *Engine) connect(ctx context.Context) (*bindings.Connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Without an address the bindings would take one from the environment.
	if !strings.HasPrefix(e.socket, "unix:///") {
		return nil, fault.New(fault.Invalid, "use podman's socket %q: want unix:///path/of/podman.sock", e.socket)
	}
	e.mu.Lock()
	connection := e.connection
	e.mu.Unlock()
	if connection != nil {
		return connection, nil
	}
	// The bindings return a connection as a context's value.
	ping := get("/_ping")
	watch := newWatch(ctx, ping.call(), ping.bound(), e.longest)
	defer watch.end()
	made, err := bindings.NewConnection(watch.ctx, e.socket)
	if err != nil {
		return nil, watch.err(err)
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
