package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/registry"
)

// rig is a whole installation of mcp. Every part and every role is a process of its
// own, so that it can be killed alone, and every node a host of its own, so that it
// can be cut off.
type rig struct {
	dir           string
	bin           string // directory of the programs temporal and registry
	hub           *hub
	parts         map[string]*part
	network       *network
	nodes         []*machine
	edge          *host
	registryProxy *registryProxy
	gateways      []*host
	authority     *identity.Authority // of the gateways; an emptied registry lacks it for a while
	// bridge and ledger lead to Temporal and to Postgres, for the gateways.
	bridge, ledger *toxiproxy.Proxy

	image    string // the image registry's address, for all of the rig
	temporal client.Client
	postgres string // the registry's URL
	store    *registry.Store

	cases atomic.Int32 // how many were run, for the names of services
}

// The targets. The CLI is none of the rig's parts: each case has its own. The node
// is the one that the case deploys to.
const (
	theCLI            = "CLI"
	theControlWorker  = "control worker"
	theNodeWorker     = "node worker"
	theBuilder        = "builder"
	thePodman         = "podman's service"
	theBuildersPodman = "the builder's podman"
	theTemporal       = "Temporal"
	thePostgres       = "Postgres"
	theImageRegistry  = "image registry"
	theNetwork        = "the node's network"
	theNode           = "the node"
)

var targets = []string{
	theCLI, theControlWorker, theNodeWorker, theBuilder, thePodman, theBuildersPodman,
	theTemporal, thePostgres, theImageRegistry, theNetwork, theNode, theEdge,
	theGateway, theGateways, theCertificate,
}

// newRig starts a rig of so many nodes in dir. When it fails, down ends the parts
// that it has started.
func newRig(ctx context.Context, dir string, nodes int) (*rig, error) {
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
	if r.hub, err = newHub(r.path("announce.sock")); err != nil {
		return r, err
	}
	if r.network, err = newNetwork(nodes + 1 + len(gatewayParts)); err != nil {
		return r, err
	}
	for i, on := range r.network.hosts[:nodes] {
		r.addNode(nodeNames[i], on)
	}
	if err := r.startParts(ctx); err != nil {
		return r, err
	}
	if err := r.startMcp(ctx); err != nil {
		return r, err
	}
	return r, r.startEdge(ctx, r.network.hosts[nodes])
}

// startMcp starts the gateways and the roles, and connects the checker to Temporal and
// Postgres.
func (r *rig) startMcp(ctx context.Context) error {
	if err := r.startGateways(ctx, slices.Clone(r.network.hosts[len(r.nodes)+1:])); err != nil {
		return err
	}
	var err error
	if r.registryProxy, err = newRegistryProxy(net.JoinHostPort(r.network.gateway, "0"), r.parts[theImageRegistry].now().(*parts.ImageRegistry).Address()); err != nil {
		return err
	}
	r.image = r.registryProxy.address()
	quiet := sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	address := r.parts[theTemporal].now().(*parts.Temporal).Address()
	if r.temporal, err = client.DialContext(ctx, client.Options{HostPort: address, Logger: quiet}); err != nil {
		return err
	}
	if r.store, err = registry.Open(ctx, r.postgres); err != nil {
		return err
	}
	if r.authority, err = r.readAuthority(ctx); err != nil {
		return err
	}
	if err := r.configure(ctx); err != nil {
		return err
	}
	return r.startWorkers(ctx)
}

// ask scans the row that a query of the registry's tables returns into result. The
// connection is its own, so that the end of Postgres breaks no later question, and so is the SQL:
// the checker shares no code with what it checks.
func (r *rig) ask(ctx context.Context, result any, query string, args ...any) error {
	conn, err := pgx.Connect(ctx, r.postgres)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := conn.QueryRow(ctx, query, args...).Scan(result); err != nil {
		return fmt.Errorf("ask Postgres: %w", err)
	}
	return nil
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// startParts starts the parts that are not mcp's, side by side. Each restarts on its
// first port.
func (r *rig) startParts(ctx context.Context) error {
	var postgres, temporal, image int
	r.parts[thePostgres] = &part{name: thePostgres, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartPostgres(ctx, parts.PostgresOptions{Dir: r.path("postgres"), Port: postgres, Unsafe: true})
		if err == nil && postgres == 0 {
			r.postgres, postgres = p.URL(), portOf(p.URL())
		}
		return p, err
	}}
	r.parts[theTemporal] = &part{name: theTemporal, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartTemporal(ctx, parts.TemporalOptions{Dir: r.path("temporal"), Binary: filepath.Join(r.bin, "temporal"), Port: temporal, Unsafe: true})
		if err == nil {
			temporal = portOf(p.Address())
		}
		return p, err
	}}
	r.parts[theImageRegistry] = &part{name: theImageRegistry, start: func(ctx context.Context) (process, error) {
		p, err := parts.StartImageRegistry(ctx, parts.ImageRegistryOptions{Dir: r.path("images"), Binary: filepath.Join(r.bin, "registry"), Port: image})
		if err == nil {
			image = portOf(p.Address())
		}
		return p, err
	}}
	names := []string{thePostgres, theTemporal, theImageRegistry}
	for _, m := range r.nodes {
		names = append(names, podmanOf(m.name))
	}
	return r.upAll(ctx, names...)
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

// down ends the rig and removes its data.
func (r *rig) down() error {
	var problems []error
	for _, p := range r.parts {
		switch running := p.now().(type) {
		case nil:
		case *parts.Podman:
			p.thaw()
			problems = append(problems, running.Destroy())
		case *parts.Postgres:
			p.thaw()
			problems = append(problems, running.Destroy())
		default:
			p.kill() // its data is not needed
		}
	}
	if r.edge != nil {
		problems = append(problems, syscall.Unmount(r.path("edge"), syscall.MNT_DETACH))
	}
	if r.temporal != nil {
		r.temporal.Close()
	}
	if r.store != nil {
		r.store.Close()
	}
	for _, f := range []*toxiproxy.Proxy{r.bridge, r.ledger} {
		if f != nil {
			f.Stop()
		}
	}
	if r.registryProxy != nil {
		r.registryProxy.close()
	}
	for _, m := range r.nodes {
		if m.proxy != nil {
			m.proxy.close()
		}
	}
	if r.hub != nil {
		r.hub.close()
	}
	return errors.Join(append(problems, r.network.remove())...)
}

// portOf returns the port of an address or a URL.
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

// await polls until ask returns true. A pause is a tenth of the time waited so far:
// a long wait must not keep the machine busy.
func await(timeout time.Duration, what string, ask func() bool) error {
	for began := time.Now(); !ask(); {
		waited := time.Since(began)
		if waited > timeout {
			return fmt.Errorf("%s: not within %s", what, timeout)
		}
		time.Sleep(min(max(waited/10, 10*time.Millisecond), 500*time.Millisecond))
	}
	return nil
}
