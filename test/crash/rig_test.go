package crash

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// rig is a whole installation of mcp on this host: every part and every role
// is a process of its own, so that each can die alone.
type rig struct {
	dir   string
	bin   string // where make has built Temporal and the image registry
	stage *stage
	parts map[string]*part

	image    string // the image registry's address
	socket   string // podman's
	temporal client.Client
	postgres string // the registry's URL
	store    *registry.Store
	engine   *podman.Engine

	played int // cases, for the names of services
}

// Who can fail. The CLI is none of the rig's parts: each case has its own.
const (
	theCLI           = "CLI"
	theControlWorker = "control worker"
	theNodeWorker    = "node worker"
	theBuilder       = "builder"
	thePodman        = "podman's service"
	theTemporal      = "Temporal"
	thePostgres      = "Postgres"
	theImageRegistry = "image registry"
)

var everybody = []string{theCLI, theControlWorker, theNodeWorker, theBuilder, thePodman, theTemporal, thePostgres, theImageRegistry}

// newRig starts a rig in dir; when it fails, down ends what it has started.
func newRig(ctx context.Context, dir string) (*rig, error) {
	r := &rig{dir: dir, parts: map[string]*part{}}
	for _, name := range []string{"services", "workspace/src", "volumes", "builds"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return r, err
		}
	}
	var err error
	if r.bin, err = filepath.Abs(filepath.Join("..", "..", "bin")); err != nil {
		return r, err
	}
	if r.stage, err = newStage(r.path("stage.sock")); err != nil {
		return r, err
	}
	if err := r.startParts(ctx); err != nil {
		return r, err
	}
	quiet := sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	address := r.parts[theTemporal].now().(*parts.Temporal).Address()
	if r.temporal, err = client.DialContext(ctx, client.Options{HostPort: address, Logger: quiet}); err != nil {
		return r, err
	}
	if r.store, err = registry.Open(ctx, r.postgres); err != nil {
		return r, err
	}
	r.engine = podman.New(r.socket)
	if err := r.configure(address); err != nil {
		return r, err
	}
	return r, r.startWorkers(ctx)
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// startParts starts what is not mcp's, side by side. Each comes back on the
// port that it had first.
func (r *rig) startParts(ctx context.Context) error {
	var postgres, temporal, image int
	r.parts[thePostgres] = &part{name: thePostgres, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartPostgres(ctx, parts.PostgresOptions{Dir: r.path("postgres"), Port: postgres})
		if err == nil && postgres == 0 {
			r.postgres, postgres = p.URL(), portOf(p.URL())
		}
		return p, err
	}}
	r.parts[theTemporal] = &part{name: theTemporal, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartTemporal(ctx, parts.TemporalOptions{Dir: r.path("temporal"), Binary: filepath.Join(r.bin, "temporal"), Port: temporal})
		if err == nil {
			temporal = portOf(p.Address())
		}
		return p, err
	}}
	r.parts[theImageRegistry] = &part{name: theImageRegistry, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartImageRegistry(ctx, parts.ImageRegistryOptions{Dir: r.path("images"), Binary: filepath.Join(r.bin, "registry"), Port: image})
		if err == nil {
			r.image, image = p.Address(), portOf(p.Address())
		}
		return p, err
	}}
	r.parts[thePodman] = &part{name: thePodman, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartPodman(ctx, parts.PodmanOptions{Dir: r.path("podman"), Private: true})
		if err == nil {
			r.socket = p.Socket()
		}
		return p, err
	}}
	return r.upAll(ctx, thePostgres, theTemporal, theImageRegistry, thePodman)
}

// upAll starts parts side by side.
func (r *rig) upAll(ctx context.Context, names ...string) error {
	var group sync.WaitGroup
	failed := make(chan error, len(names))
	for _, name := range names {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := r.parts[name].up(ctx); err != nil {
				failed <- err
			}
		}()
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// down ends the rig and removes what it left on this host.
func (r *rig) down() error {
	for _, name := range []string{theControlWorker, theNodeWorker, theBuilder} {
		if p := r.parts[name]; p != nil && p.now() != nil {
			kill(p.now()) // nothing of it is needed any more
		}
	}
	if r.temporal != nil {
		r.temporal.Close()
	}
	if r.store != nil {
		r.store.Close()
	}
	var err error
	for _, name := range []string{theTemporal, theImageRegistry, thePodman, thePostgres} {
		p := r.parts[name]
		if p == nil || p.now() == nil {
			continue
		}
		p.down()
		switch running := p.now().(type) {
		case *parts.Podman:
			err = running.Destroy()
		case *parts.Postgres:
			_ = running.Destroy()
		}
	}
	if r.stage != nil {
		r.stage.close()
	}
	return err
}

// portOf is the port in an address or a URL.
func portOf(address string) int {
	text := []byte(address)
	if i := bytes.LastIndexByte(text, '@'); i >= 0 {
		text = text[i+1:]
	}
	if i := bytes.IndexByte(text, '/'); i >= 0 {
		text = text[:i]
	}
	_, port, _ := net.SplitHostPort(string(text))
	number, _ := strconv.Atoi(port)
	return number
}

// await asks until it gets a yes.
func await(patience time.Duration, what string, ask func() bool) error {
	for end := time.Now().Add(patience); !ask(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s", what, patience)
		}
	}
	return nil
}
