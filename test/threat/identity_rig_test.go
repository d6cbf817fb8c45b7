package threat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/door/law"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/imageregistry"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/telemetry"
	"github.com/metacircular/mcp/test/printed"
	"github.com/metacircular/mcp/workers"
)

// doored is a fleet behind the law of a door: a real Temporal, Postgres, podman and image
// registry, and real workers and commands, each with the address at which it is its
// identity.
type doored struct {
	t         *testing.T
	platform  *dev.Platform
	dir       string
	law       *law.Law
	direct    *grpc.ClientConn // to Temporal, without the door
	addresses map[string]string
	log       printed.Text // of the door
}

// The identities of the fleet.
var (
	theControl = identity.Identity{Role: identity.Control, Name: "main"}
	theNode    = identity.Identity{Role: identity.Node, Name: "rift"}
	otherNode  = identity.Identity{Role: identity.Node, Name: "orion"}
	theEdge    = identity.Identity{Role: identity.Edge, Name: "front"}
	theBuilder = identity.Identity{Role: identity.Builder, Name: "bob"}
	anna       = identity.Identity{Role: identity.Operator, Name: "anna"}
	ci         = identity.Identity{Role: identity.Deployer, Name: "ci", Services: []string{"shop"}}
	guest      = identity.Identity{Role: identity.Reader, Name: "guest", Services: []string{"shop"}}
)

// doorNamespace is Temporal's namespace, and the database, of the fleet.
const doorNamespace = "door"

func newDoored(t *testing.T) *doored {
	t.Helper()
	d := &doored{t: t, dir: t.TempDir(), addresses: map[string]string{}}
	for _, name := range []string{"services", "src", "home"} {
		require.NoError(t, os.MkdirAll(filepath.Join(d.dir, name), 0o700))
	}
	place, err := os.MkdirTemp("", "mcp-doored-") // Postgres runs as another user
	require.NoError(t, err)
	require.NoError(t, os.Chmod(place, 0o755))
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	platformDir := filepath.Join(place, "platform")
	d.platform, err = dev.Up(ctx, dev.Options{
		Unsafe: true,
		Dir:    platformDir, Workspace: d.dir, Services: d.dir, Programs: "../../bin", Version: "test", NoEdge: true, Logger: quiet, SDKLogger: quiet,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		d.platform.Down()
		_, err := dev.Destroy(context.Background(), platformDir)
		require.NoError(t, errors.Join(err, os.RemoveAll(place)))
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the door:\n%s", d.log.String())
		}
	})
	d.makeNamespace(quiet)
	d.psql("create database " + doorNamespace)
	d.direct, err = grpc.NewClient(d.platform.Info().Temporal(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.direct.Close() })
	d.law, err = law.New(law.Options{Upstream: d.direct, Namespace: doorNamespace, Key: []byte(strings.Repeat("secret", 8)), Log: slog.New(slog.NewTextHandler(&d.log, nil))})
	require.NoError(t, err)
	return d
}

func (d *doored) makeNamespace(log *slog.Logger) {
	options := client.Options{HostPort: d.platform.Info().Temporal(), Namespace: doorNamespace, Logger: sdklog.NewStructuredLogger(log)}
	namespaces, err := client.NewNamespaceClient(options)
	require.NoError(d.t, err)
	defer namespaces.Close()
	require.NoError(d.t, namespaces.Register(d.t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: doorNamespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	}))
	c, err := client.Dial(options)
	require.NoError(d.t, err)
	defer c.Close()
	require.Eventually(d.t, func() bool {
		_, err := c.DescribeWorkflowExecution(d.t.Context(), "none", "")
		return errors.As(err, new(*serviceerror.NotFound)) // of the workflow, not of its namespace
	}, time.Minute, 200*time.Millisecond)
}

func (d *doored) psql(statement string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.platform.Info().Dir, "postgres.url"))
	require.NoError(d.t, err)
	address := strings.TrimSpace(string(text))
	if !strings.HasPrefix(statement, "create database") {
		address = d.database(address)
	}
	cmd := exec.Command("psql", address, "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", statement)
	out, err := cmd.CombinedOutput()
	require.NoError(d.t, err, string(out))
	return strings.TrimSpace(string(out))
}

func (d *doored) database(address string) string {
	parsed, err := url.Parse(address)
	require.NoError(d.t, err)
	parsed.Path = "/" + doorNamespace
	return parsed.String()
}

// as returns the address at which every caller is that identity.
func (d *doored) as(who identity.Identity) string {
	d.t.Helper()
	if address := d.addresses[who.String()]; address != "" {
		return address
	}
	inject := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		return next(identity.NewContext(ctx, who), req)
	}
	server := grpc.NewServer(append([]grpc.ServerOption{grpc.ChainUnaryInterceptor(inject)}, d.law.ServerOptions()...)...)
	d.law.Register(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(d.t, err)
	go func() { _ = server.Serve(listener) }()
	d.t.Cleanup(server.Stop)
	d.addresses[who.String()] = listener.Addr().String()
	return listener.Addr().String()
}

// conn is a connection of an identity.
func (d *doored) conn(who identity.Identity) *grpc.ClientConn {
	d.t.Helper()
	conn, err := grpc.NewClient(d.as(who), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// service is Temporal's service, as an identity has it.
func (d *doored) service(who identity.Identity) workflowservice.WorkflowServiceClient {
	return workflowservice.NewWorkflowServiceClient(d.conn(who))
}

// dial is the SDK's client of an identity.
func (d *doored) dial(who identity.Identity) client.Client {
	d.t.Helper()
	c, err := client.Dial(client.Options{HostPort: d.as(who), Namespace: doorNamespace, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(d.t, err)
	d.t.Cleanup(c.Close)
	return c
}

// work starts the workers of one identity.
func (d *doored) work(who identity.Identity, o workers.Options) {
	d.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	o.Logger, o.Version, o.Grace, o.Telemetry = quiet, "test", time.Second, telemetry.New("test")
	c, err := o.Telemetry.Connect(client.Options{HostPort: d.as(who), Namespace: doorNamespace, Logger: sdklog.NewStructuredLogger(quiet)})
	require.NoError(d.t, err)
	running, err := workers.Start(d.t.Context(), c, o)
	require.NoError(d.t, err, who.String())
	d.t.Cleanup(func() {
		running.Stop()
		c.Close()
	})
}

// startWorkers starts a control worker, a node and a builder.
func (d *doored) startWorkers() {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.platform.Info().Dir, "postgres.url"))
	require.NoError(d.t, err)
	address, images := d.database(strings.TrimSpace(string(text))), d.platform.Info().ImageRegistry
	require.NoError(d.t, registry.Prepare(d.t.Context(), address))
	d.psql(fmt.Sprintf("insert into gateway_keys (name, sealed, public) values ('%s', '', '%s')", registry.GatewaySecret, d.law.WhoKey()))
	for _, interval := range []time.Duration{time.Second, 2 * time.Second} { // the second one changes the schedule of the first
		d.work(theControl, workers.Options{Control: &workers.Control{
			PostgresURL: address, Namespace: doorNamespace, MonitorInterval: interval, Images: imageregistry.Options{Insecure: []string{images}},
		}})
	}
	d.work(theNode, workers.Options{Node: &workers.Node{
		Name: theNode.Name, Socket: d.platform.Info().Podman, Publish: "127.0.0.1", Insecure: []string{images},
		MachineFile: filepath.Join(d.dir, "machine"), Data: filepath.Join(d.dir, "node"), TaskLogs: filepath.Join(d.dir, "tasks"),
		Policy: filepath.Join(d.platform.Info().Dir, "node-policy.toml"), KeyFile: filepath.Join(d.dir, "node.key"),
	}})
	d.work(theBuilder, workers.Options{Builder: &workers.Builder{
		Name: theBuilder.Name, Workspace: d.dir, Socket: d.platform.Info().Podman, Logs: filepath.Join(d.dir, "logs"),
		Insecure: []string{images}, Policy: filepath.Join(d.platform.Info().Dir, "node-policy.toml"), ServesLogs: true,
	}})
}

// define writes a service of one component and a job, whose image builder bob builds.
func (d *doored) define(name string) {
	d.t.Helper()
	text := fmt.Sprintf(`name = %[1]q
node = %[2]q
path = "src"

[build.images.%[1]s]
containerfile = "Containerfile"

[[components]]
name = "app"
image = "%[3]s/%[1]s:v1"
env = { MODE = "deaf" }

[[components]]
name = "nightly"
image = "%[3]s/%[1]s:v1"
cmd = ["/app", "say", "ran", "0"]
schedule = "0 3 1 1 *"
`, name, theNode.Name, d.platform.Info().ImageRegistry)
	require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, "services", name+".toml"), []byte(text), 0o600))
}

// mcp runs a command as an identity.
func (d *doored) mcp(who identity.Identity, args ...string) (string, error) {
	d.t.Helper()
	text := fmt.Sprintf(`services = %q
[temporal]
address = %q
namespace = %q
[build]
%s
[image_registry]
insecure = [%q]
`, filepath.Join(d.dir, "services"), d.as(who), doorNamespace, d.builderOf(who), d.platform.Info().ImageRegistry)
	config := filepath.Join(d.dir, who.Name+".toml")
	require.NoError(d.t, os.WriteFile(config, []byte(text), 0o600))
	self, err := os.Executable()
	require.NoError(d.t, err)
	cmd := exec.Command(self, append([]string{"--config", config}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = []string{mcpVariable + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(d.dir, "home"), "USER=ann"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// builderOf are the settings for builds: builder bob's, or for a deployer its own.
func (d *doored) builderOf(who identity.Identity) string {
	if who.Role != identity.Deployer {
		return fmt.Sprintf("builder = %q", theBuilder.Name)
	}
	return fmt.Sprintf("builder = %q\nworkspace = %q\nsocket = %q\nlogs = %q", who.Name, d.dir, d.platform.Info().Podman, filepath.Join(d.dir, "logs-"+who.Name))
}

// must is mcp of a command that succeeds.
func (d *doored) must(who identity.Identity, args ...string) string {
	d.t.Helper()
	out, err := d.mcp(who, args...)
	require.NoError(d.t, err, "mcp %s as %s\n%s", strings.Join(args, " "), who, out)
	return out
}

// refused is mcp of a command that the gateway refuses.
func (d *doored) refused(who identity.Identity, args ...string) string {
	d.t.Helper()
	out, err := d.mcp(who, args...)
	require.Error(d.t, err, "mcp %s as %s\n%s", strings.Join(args, " "), who, out)
	require.Contains(d.t, out, "the gateway refuses", "mcp %s as %s", strings.Join(args, " "), who)
	return out
}

// buildApp compiles the program of the services.
func (d *doored) buildApp() {
	d.t.Helper()
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(d.dir, "src", "app"), "../e2e/testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(d.t, err, string(out))
	require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, "src", "Containerfile"), []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n"), 0o600))
}
