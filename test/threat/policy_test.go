package threat

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/attempt"
	"github.com/metacircular/mcp/activities/onbuilder"
	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/contract"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/servicedef"
)

// policed is a node with a policy, before a real podman whose requests are counted.
type policed struct {
	t       *testing.T
	root    string // what may be mounted
	file    string // of the policy
	socket  string // podman's own
	engine  *podman.Engine
	node    *onnode.Node
	builder *onbuilder.Builder
	env     *testsuite.TestActivityEnvironment
	// acts counts requests that are no questions.
	acts atomic.Int64
	runs int
}

const policedImage = "localhost/policed:v1"

func newPoliced(t *testing.T) *policed {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	service, err := parts.StartPodman(t.Context(), parts.PodmanOptions{Dir: filepath.Join(dir, "podman"), Private: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, service.Destroy()) })
	p := &policed{t: t, root: filepath.Join(dir, "srv"), file: filepath.Join(dir, "node-policy.toml"), socket: strings.TrimPrefix(service.Socket(), "unix://")}
	p.engine = podman.New(service.Socket())
	app := contract.BuildApp(t)
	containerfile := filepath.Join(app, "Containerfile")
	require.NoError(t, os.WriteFile(containerfile, []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\", \"sleep\", \"1h\"]\n"), 0o600))
	_, err = p.engine.Build(t.Context(), runtime.BuildSpec{Tag: policedImage, Context: app, Containerfile: containerfile})
	require.NoError(t, err)

	policies := node.Policies{File: p.file, Sockets: []string{service.Socket()}}
	counted := podman.New(p.counting())
	p.node = &onnode.Node{
		Name: "rift", Runtime: counted, Policies: policies, Admissions: node.Admissions{Dir: filepath.Join(dir, "admitted")},
		Fence: onnode.NewFence(), Slots: onnode.NewSlots(), Insecure: func(string) bool { return true }, Publish: "127.0.0.1",
		PortLow: node.DefaultPortLow, PortHigh: node.DefaultPortHigh,
	}
	p.builder = &onbuilder.Builder{
		Name: "rift", Runtime: counted, Policies: policies, Workspace: app, Logs: filepath.Join(dir, "logs"), Insecure: func(string) bool { return true },
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	p.env = suite.NewTestActivityEnvironment()
	p.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{attempt.NewInterceptor()}})
	p.env.RegisterActivity(p.node)
	p.env.RegisterActivity(p.builder)
	require.NoError(t, os.MkdirAll(filepath.Join(p.root, "data"), 0o755))
	p.rules("")
	return p
}

// counting passes requests on to podman, and counts those that are no questions.
func (p *policed) counting() string {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "podman"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	}}
	proxy.FlushInterval = -1
	socket := filepath.Join(p.t.TempDir(), "counted.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(p.t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			p.acts.Add(1)
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	p.t.Cleanup(func() { require.NoError(p.t, server.Close()) })
	return socket
}

// rules writes the policy.
func (p *policed) rules(more string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(p.file, fmt.Appendf(nil, "mounts.roots = [%q]\n%s", p.root, more), 0o600))
}

// spec is a component to run.
func (p *policed) spec(c servicedef.Component) activities.ComponentSpec {
	p.runs++
	c.Name, c.Restart = "app", "no"
	if c.Image == "" {
		c.Image = policedImage
	}
	return activities.ComponentSpec{
		Service: fmt.Sprintf("evil-%d", p.runs), Deployment: 1, Run: "run", Definition: c, Image: c.Image, Spec: fmt.Sprint("spec-", p.runs),
	}
}

// attempts are all the ways in which a workflow can have a container made.
func (p *policed) attempts(c servicedef.Component) map[string]error {
	errs := map[string]error{}
	do := func(way string, activity, in any) {
		_, err := p.env.ExecuteActivity(activity, in)
		errs[way] = err
	}
	spec := p.spec(c)
	again := p.spec(c)
	again.Again = true
	do("fetch the image", p.node.FetchImage, onnode.RunContainerInput{Component: spec})
	do("run", p.node.RunContainer, onnode.RunContainerInput{Component: spec})
	do("run, as what is claimed to be a reconcile", p.node.RunContainer, onnode.RunContainerInput{Component: again})
	do("run as a step", p.node.StartTask, onnode.TaskSpec{Task: fleet.Task{ID: fmt.Sprint("s", p.runs), Kind: fleet.StepTask, Name: "app"}, Component: spec})
	do("run as a job", p.node.StartTask, onnode.TaskSpec{Task: fleet.Task{ID: fmt.Sprint("j", p.runs), Kind: fleet.JobTask, Name: "app"}, Component: spec})
	return errs
}

// TestPolicyKeepsHostileDefinitionsFromPodman sends definitions straight to the activities
// of a node, as a control plane does that plans nothing, and counts what reaches podman.
func TestPolicyKeepsHostileDefinitionsFromPodman(t *testing.T) {
	p := newPoliced(t)
	link := func(name, target string) string {
		name = filepath.Join(p.root, name)
		require.NoError(t, os.Symlink(target, name))
		return name
	}
	inside := filepath.Join(p.root, "data")
	volume := func(text string) servicedef.Component { return servicedef.Component{Volumes: []string{text}} }
	with := func(c servicedef.Container) servicedef.Component { return servicedef.Component{Container: c} }
	hostile := map[string]servicedef.Component{
		"the root of the node":             volume("/:/host"),
		"the root, read-only":              volume("/:/host:ro,rslave"),
		"the root, by slashes and dots":    volume("//./:/host"),
		"/etc":                             volume("/etc:/host"),
		"proc":                             volume("/proc:/host"),
		"the root by proc":                 volume("/proc/1/root:/host"),
		"the root by a file descriptor":    volume("/proc/self/cwd/..:/host"),
		"sys":                              volume("/sys:/host"),
		"devices":                          volume("/dev:/host"),
		"a link to the root":               volume(link("root", "/") + ":/host"),
		"a link to proc":                   volume(link("proc", "/proc/1/root/etc") + ":/host"),
		"a link to a link":                 volume(link("second", filepath.Join(p.root, "root")) + ":/host"),
		"a directory below a link":         volume(filepath.Join(p.root, "root/etc") + ":/host"),
		"a link that leads nowhere yet":    volume(link("later", "/root/later") + ":/host"),
		"dots":                             volume(inside + "/../../..:/host"),
		"dots that stay inside":            volume(inside + "/../data:/host"),
		"a relative path":                  volume("../../etc:/host"),
		"podman's socket":                  volume(p.socket + ":/podman.sock"),
		"podman's socket, read-only":       volume(p.socket + ":/podman.sock:ro"),
		"the directory of podman's socket": volume(filepath.Dir(p.socket) + ":/engine"),
		"a link to podman's socket":        volume(link("socket", p.socket) + ":/podman.sock"),
		"docker's socket":                  volume("/var/run/docker.sock:/docker.sock"),
		"shared mounts":                    volume(inside + ":/data:rshared"),
		"devices of a mount":               volume(inside + ":/data:dev,suid"),
		"an upper directory":               volume(inside + ":/data:O,upperdir=/etc,workdir=" + inside),
		"an option that hides another":     volume(inside + ":/data:ro:/etc"),
		"host network":                     {Network: "host"},
		"another service's network":        {Network: "mcp-shop"},
		"a container's network":            {Network: "container:other"},
		"a low port":                       {Ports: []string{"22:22"}},
		"all capabilities":                 with(servicedef.Container{CapAdd: []string{"ALL"}}),
		"SYS_ADMIN":                        with(servicedef.Container{CapAdd: []string{"cap_sys_admin"}}),
		"SYS_PTRACE, and the pids":         with(servicedef.Container{CapAdd: []string{"SYS_PTRACE"}, PID: "host"}),
		"the pids of another container":    with(servicedef.Container{PID: "container:other"}),
		"ipc":                              with(servicedef.Container{IPC: "host"}),
		"a namespace by its path":          with(servicedef.Container{PID: "ns:/proc/1/ns/pid"}),
		"the node's users":                 with(servicedef.Container{Userns: "host"}),
		"a disk":                           with(servicedef.Container{Devices: []string{"/dev/sda:/dev/sda:rwm"}}),
		"the memory":                       with(servicedef.Container{Devices: []string{"/dev/mem"}}),
		"a device by a link":               with(servicedef.Container{Devices: []string{link("null", "/dev/null")}}),
		"a device by its description":      with(servicedef.Container{Devices: []string{"vendor.example/net=nic0"}}),
		"no filter of system calls":        with(servicedef.Container{SecurityOpt: []string{"seccomp=unconfined"}}),
		"a filter of one's own":            with(servicedef.Container{SecurityOpt: []string{"seccomp:" + inside + "/open.json"}}),
		"no labels":                        with(servicedef.Container{SecurityOpt: []string{"label=disable"}}),
		"all system paths":                 with(servicedef.Container{SecurityOpt: []string{"unmask=ALL"}}),
		"new privileges":                   with(servicedef.Container{SecurityOpt: []string{"no-new-privileges=false"}}),
		"processes without end":            with(servicedef.Container{PidsLimit: -1}),
		"a foreign image":                  {Image: "docker.io/evil/miner:latest"},
		"an image of a host with our name": {Image: "localhost.evil.example/policed:v1"},
		"root":                             {User: "0:0"},
		"root by its name":                 {User: "root:root"},
		"root as the image has it":         {User: ""},
		"the group of root":                {User: "1000:0"},
		"a uid that wraps to that of root": {User: "4294967296:1000"},
		"a further group":                  {User: "1000:1000", Container: servicedef.Container{GroupAdd: []string{"0"}}},
	}
	p.rules(`images.registries = ["localhost"]
users = { uids = ["1-65535"], gids = ["1-65535"] }
`)
	before := p.acts.Load()
	ways := 0
	for name, c := range hostile {
		if c.User == "" && name != "root as the image has it" {
			c.User = "1000:1000"
		}
		for way, err := range p.attempts(c) {
			ways++
			require.Error(t, err, "%s: %s", name, way)
			f := attempt.FaultOf(err)
			require.Equal(t, fault.Forbidden, fault.Of(f).Kind, "%s: %s: %s", name, way, f.Message)
			require.Contains(t, f.Message, "the policy of node rift, "+p.file+", forbids component app: ", name)
		}
	}
	builds := p.hostileBuilds()
	p.rules("exec.allowed = false\n")
	_, err := p.env.ExecuteActivity(p.node.Exec, onnode.ExecInput{Container: "shop-app", Command: []string{"sh"}, Timeout: time.Minute})
	require.ErrorContains(t, err, "forbids commands in shop-app: no command may be run in a container (exec.allowed, line 2)")
	reached := p.acts.Load() - before

	// The same ways lead a definition to podman that the policy lets run.
	p.rules("")
	for way, err := range p.attempts(volume(inside + ":/data:ro")) {
		if way != "run, as what is claimed to be a reconcile" { // both are healthy without a check
			require.NoError(t, err, way)
		}
	}
	require.Greater(t, p.acts.Load(), before+reached)
	t.Logf("hostile definitions: %d, each in %d ways; hostile builds: %d; reached podman %d times", len(hostile), ways/len(hostile), builds, reached)
	require.Zero(t, reached)
}

// hostileBuilds tries builds that the policy forbids, and returns how many.
func (p *policed) hostileBuilds() int {
	secret := func(file, variable string) map[string]servicedef.BuildSecret {
		return map[string]servicedef.BuildSecret{"x": {File: file, Environment: variable}}
	}
	containerfile := func(name, text string) servicedef.ImageBuild {
		require.NoError(p.t, os.WriteFile(filepath.Join(p.builder.Workspace, name), []byte(text), 0o600))
		return servicedef.ImageBuild{Containerfile: name}
	}
	hostile := map[string]servicedef.ImageBuild{
		"a foreign base":             containerfile("a", "FROM docker.io/evil/base\n"),
		"a foreign base by default":  containerfile("b", "FROM ${BASE:-docker.io/evil/base}\n"),
		"a foreign image to copy of": containerfile("c", "FROM scratch\nCOPY --from=docker.io/evil/base / /\n"),
		"a foreign context":          {Contexts: map[string]string{"x": "docker-image://docker.io/evil/base"}},
		"a foreign cache":            {CacheTo: []string{"registry.evil.example/cache"}},
		"a file of the host":         {Secrets: secret("/etc/shadow", "")},
		"a link to a file":           {Secrets: secret(filepath.Join(p.root, "root/etc/shadow"), "")},
		"a variable of the worker":   {Secrets: secret("", "TEMPORAL_API_KEY")},
	}
	for name, build := range hostile {
		_, err := p.env.ExecuteActivity(p.builder.Build, onbuilder.BuildInput{Service: "evil", Image: "localhost/evil:v1", Build: build})
		require.Error(p.t, err, name)
		f := attempt.FaultOf(err)
		require.Equal(p.t, fault.Forbidden, f.Kind, "%s: %s", name, f.Message)
		require.Contains(p.t, f.Message, "the policy of builder rift, "+p.file+", forbids the build of localhost/evil:v1: build.images", name)
	}
	return len(hostile)
}

// TestPolicyHoldsWhileLinksChange exchanges a directory for a link to the root of the node,
// again and again, while containers that mount it are made. What was judged is mounted, or
// nothing is.
func TestPolicyHoldsWhileLinksChange(t *testing.T) {
	p := newPoliced(t)
	swapped := filepath.Join(p.root, "swapped")
	require.NoError(t, os.Mkdir(swapped, 0o755))
	require.NoError(t, os.Symlink("/", filepath.Join(p.root, "link")))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		aside := filepath.Join(p.root, "aside")
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(swapped, aside)
				_ = os.Rename(filepath.Join(p.root, "link"), swapped)
				time.Sleep(time.Millisecond)
				_ = os.Rename(swapped, filepath.Join(p.root, "link"))
				_ = os.Rename(aside, swapped)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	const tries = 25
	refused, mounted := 0, 0
	for range tries {
		spec := p.spec(servicedef.Component{Volumes: []string{swapped + ":/host:ro"}})
		_, err := p.env.ExecuteActivity(p.node.RunContainer, onnode.RunContainerInput{Component: spec})
		if err != nil {
			refused++
			require.NotEqual(t, fault.Internal, attempt.FaultOf(err).Kind, err)
		}
		info, err := p.engine.Inspect(t.Context(), spec.Container()+fleet.NextSuffix)
		if fault.Is(err, fault.NotFound) || err == nil && info.PID == 0 {
			continue
		}
		require.NoError(t, err)
		root, err := os.Stat("/")
		require.NoError(t, err)
		found, err := os.Stat(fmt.Sprintf("/proc/%d/root/host", info.PID))
		require.NoError(t, err)
		if os.SameFile(root, found) {
			mounted++
		}
		require.NoError(t, p.engine.Remove(t.Context(), info.ID))
	}
	close(stop)
	<-stopped
	t.Logf("containers made while their mount was exchanged: %d, of which %d were refused; the root of the node was mounted and kept: %d", tries, refused, mounted)
	require.Zero(t, mounted)
}

// TestPolicyLetsGoOnWhatWasLetRun tightens a policy. What ran before is started and
// reconciled, and nothing else is.
func TestPolicyLetsGoOnWhatWasLetRun(t *testing.T) {
	p := newPoliced(t)
	p.rules("network.host = true\n")
	run := func(c activities.ComponentSpec) error {
		_, err := p.env.ExecuteActivity(p.node.RunContainer, onnode.RunContainerInput{Component: c})
		return err
	}
	admitted := p.spec(servicedef.Component{Network: "host", Health: servicedef.Health{}})
	require.NoError(t, run(admitted))
	name := admitted.Container() + fleet.NextSuffix
	require.NoError(t, p.engine.Stop(t.Context(), name, 0))

	p.rules("network.host = false\n")
	_, err := p.env.ExecuteActivity(p.node.Restore, onnode.RestoreInput{
		Service: admitted.Service, Deployment: 1, Run: "run", Recovery: plan.Recovery{Node: "rift", Start: fleet.Refs(name)},
	})
	require.NoError(t, err, "a boot starts it again")
	info, err := p.engine.Inspect(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, runtime.Running, info.State)
	require.NoError(t, p.engine.Remove(t.Context(), name))

	next := admitted
	next.Deployment, next.Run = 2, "next"
	require.ErrorContains(t, run(next), "network: the node's own network is not for containers (network.host, line 2)", "a deploy is judged anew")
	next.Again = true
	require.NoError(t, run(next), "a reconcile restores what was let run")
	require.NoError(t, p.engine.Remove(t.Context(), name))
	next.Deployment, next.Run, next.Definition.Volumes = 3, "third", []string{"/etc:/host"}
	require.Error(t, run(next), "and not what is only said to be that")

	require.NoError(t, os.WriteFile(p.file, []byte("mounts = 1"), 0o600))
	fine := p.spec(servicedef.Component{})
	require.ErrorContains(t, run(fine), "nothing new may run while the policy cannot be used: "+p.file+":1:")
	require.NoError(t, os.Chmod(p.file, 0o666))
	require.ErrorContains(t, run(fine), "can be written by others")
	require.NoError(t, os.Remove(p.file))
	require.ErrorContains(t, run(fine), "no such file", "a file that the worker was given must be there")
	text, err := p.env.ExecuteActivity(p.node.GetPolicy)
	require.NoError(t, err)
	var shown policy.Policy
	require.NoError(t, text.Get(&shown))
	require.Contains(t, shown.Problem, "no such file")
	_, err = json.Marshal(shown)
	require.NoError(t, err)
}
