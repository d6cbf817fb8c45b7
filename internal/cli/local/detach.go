package local

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
)

// logTail is how many lines of the log are shown of a platform that did not start.
const logTail = 20

// runDetached starts the platform in the background and returns when it is ready.
func runDetached(ctx context.Context, s *session.Session, o devOptions, want dev.Options) error {
	starting, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	if err := dev.CheckDir(o.dir); err != nil {
		return err
	}
	if dev.Running(o.dir) {
		info, err := dev.Await(starting, o.dir)
		if err != nil {
			return cmp.Or(exit.IfInterrupted(ctx), err)
		}
		if unused := differences(want, info); len(unused) > 0 {
			return fault.New(fault.Conflict, "mcp dev runs in %s already, as process %d, and does not use %s",
				info.Dir, info.PID, strings.Join(unused, ", ")).WithHint("end it first: mcp dev down --dir %s", o.dir)
		}
		showPlatform(s, info)
		s.Say("it runs already, as process %d; end it with: mcp dev down --dir %s", info.PID, o.dir)
		return nil
	}
	info, err := o.spawn(starting, s.Debug)
	if err != nil {
		return cmp.Or(exit.IfInterrupted(ctx), err)
	}
	showPlatform(s, info)
	s.Say("ready, in the background; end it with: mcp dev down --dir %s", o.dir)
	return nil
}

// differences returns the given flags whose values are not those of the running
// platform.
func differences(want dev.Options, info dev.Info) []string {
	var list []string
	differ := func(flag, want, have string) {
		if want != "" && want != have {
			list = append(list, fmt.Sprintf("%s %s (it has %s)", flag, want, have))
		}
	}
	port := func(flag string, want int, address string) {
		if want != 0 {
			differ(flag, strconv.Itoa(want), portOf(address))
		}
	}
	differ("--workspace", want.Workspace, info.Workspace)
	differ("--services", want.Services, info.Services)
	differ("--podman-socket", want.Socket, info.Podman)
	differ("--publish", want.Publish, info.Publish)
	port("--registry-port", want.RegistryPort, info.ImageRegistry)
	port("--gateway-port", want.GatewayPort, info.Gateway.Address)
	port("--ui-port", want.UIPort, info.UI)
	if info.Edge != nil {
		port("--http-port", want.HTTPPort, info.Edge.HTTP)
		port("--https-port", want.HTTPSPort, info.Edge.HTTPS)
	}
	return list
}

// spawn starts this program again in a separate session, so that neither the terminal's
// Ctrl-C nor its end reaches it. With --json the platform prints one object, once it is
// ready or has failed, on a pipe to this process.
func (o devOptions) spawn(ctx context.Context, debug bool) (dev.Info, error) {
	self, err := os.Executable()
	if err != nil {
		return dev.Info{}, fmt.Errorf("find this program: %w", err)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return dev.Info{}, fmt.Errorf("make the platform's directory: %w", err)
	}
	log, err := os.OpenFile(o.log(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return dev.Info{}, fmt.Errorf("open the platform's log: %w", err)
	}
	defer log.Close()
	platform := exec.Command(self, o.arguments(debug)...)
	platform.Stderr = log
	platform.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	ready, err := platform.StdoutPipe()
	if err != nil {
		return dev.Info{}, fmt.Errorf("make a pipe: %w", err)
	}
	if err := platform.Start(); err != nil {
		return dev.Info{}, fmt.Errorf("start the platform: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = platform.Process.Signal(syscall.SIGTERM) })
	defer stop()
	var printed struct {
		dev.Info
		Error *fault.Error `json:"error"`
	}
	if err := json.NewDecoder(ready).Decode(&printed); err == nil && printed.Error == nil {
		return printed.Info, platform.Process.Release()
	}
	_ = platform.Wait() // notReady reports why it ended
	return dev.Info{}, o.notReady(ctx, printed.Error)
}

// arguments returns the command line that runs the same platform in the foreground.
func (o devOptions) arguments(debug bool) []string {
	list := []string{
		"dev", "--json", "--debug=" + strconv.FormatBool(debug),
		"--dir", o.dir, "--workspace", o.workspace, "--services", o.services, "--publish", o.publish,
		"--registry-port", strconv.Itoa(o.registryPort),
		"--gateway-port", strconv.Itoa(o.gatewayPort),
		"--ui-port", strconv.Itoa(o.uiPort),
		"--http-port", strconv.Itoa(o.httpPort),
		"--https-port", strconv.Itoa(o.httpsPort),
	}
	if o.podmanSocket != "" {
		list = append(list, "--podman-socket", o.podmanSocket)
	}
	return list
}

// notReady returns why the platform ended: the fault that it printed or, if it printed
// none, one with the end of its log.
func (o devOptions) notReady(ctx context.Context, printed *fault.Error) error {
	if printed != nil && printed.Hint != "" {
		return printed
	}
	if printed != nil {
		return printed.WithHint("the whole log is %s", o.log())
	}
	f := fault.New(fault.Internal, "the platform ended before it was ready").WithHint("the whole log is %s", o.log())
	if ctx.Err() != nil {
		f.Message = "the platform was not ready in time"
	}
	text, err := os.ReadFile(o.log())
	if err != nil {
		return f
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	f.Log = lines[max(0, len(lines)-logTail):]
	return f
}
