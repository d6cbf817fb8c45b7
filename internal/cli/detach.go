package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
)

// logTail is how many lines of its log a platform that did not start leaves.
const logTail = 20

// detach starts the platform in the background and returns when it is ready.
func (a *App) detach(ctx context.Context, o devOptions, wished dev.Options) error {
	starting, cancel := context.WithTimeout(ctx, upPatience)
	defer cancel()
	if dev.Running(o.dir) {
		info, err := dev.Await(starting, o.dir)
		if err != nil {
			return cmp.Or(interrupted(ctx), err)
		}
		if unused := differences(wished, info); len(unused) > 0 {
			return fault.New(fault.Conflict, "mcp dev runs in %s already, as process %d, and does not use %s",
				info.Dir, info.PID, strings.Join(unused, ", ")).WithHint("end it first: mcp dev down --dir %s", o.dir)
		}
		a.showPlatform(info)
		a.say("it runs already, as process %d; end it with: mcp dev down --dir %s", info.PID, o.dir)
		return nil
	}
	info, err := o.spawn(starting, a.debug)
	if err != nil {
		return cmp.Or(interrupted(ctx), err)
	}
	a.showPlatform(info)
	a.say("ready, in the background; end it with: mcp dev down --dir %s", o.dir)
	return nil
}

// interrupted is the error of a command whose ctx has ended; nil before that.
func interrupted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return exitError(exitInterrupted)
}

// differences are the flags that were given and that the platform which runs
// does not go by.
func differences(wished dev.Options, info dev.Info) []string {
	var list []string
	differ := func(flag, wish, have string) {
		if wish != "" && wish != have {
			list = append(list, fmt.Sprintf("%s %s (it has %s)", flag, wish, have))
		}
	}
	port := func(flag string, wish int, address string) {
		if have := address[strings.LastIndexByte(address, ':')+1:]; wish != 0 {
			differ(flag, strconv.Itoa(wish), have)
		}
	}
	differ("--workspace", wished.Workspace, info.Workspace)
	differ("--services", wished.Services, info.Services)
	differ("--podman-socket", wished.Socket, info.Podman)
	differ("--publish", wished.Publish, info.Publish)
	port("--registry-port", wished.RegistryPort, info.ImageRegistry)
	port("--temporal-port", wished.TemporalPort, info.Temporal)
	port("--ui-port", wished.UIPort, info.UI)
	return list
}

// spawn starts this program again, in a session of its own, so that neither
// the terminal's Ctrl-C nor its end reaches it. With --json the platform
// prints one object, when it is ready or cannot be, and that on a pipe to here.
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
	var said struct {
		dev.Info
		Error *fault.Error `json:"error"`
	}
	if err := json.NewDecoder(ready).Decode(&said); err == nil && said.Error == nil {
		return said.Info, platform.Process.Release()
	}
	_ = platform.Wait() // how it ended is told below
	return dev.Info{}, o.notReady(ctx, said.Error)
}

// arguments are the command line that runs the same platform in the
// foreground.
func (o devOptions) arguments(debug bool) []string {
	list := []string{
		"dev", "--json", "--debug=" + strconv.FormatBool(debug),
		"--dir", o.dir, "--workspace", o.workspace, "--services", o.services, "--publish", o.publish,
		"--registry-port", strconv.Itoa(o.registryPort),
		"--temporal-port", strconv.Itoa(o.temporalPort),
		"--ui-port", strconv.Itoa(o.uiPort),
	}
	if o.podmanSocket != "" {
		list = append(list, "--podman-socket", o.podmanSocket)
	}
	return list
}

// notReady says why the platform ended: in its own words or, if it had none
// left to say, by the end of its log.
func (o devOptions) notReady(ctx context.Context, said *fault.Error) error {
	if said != nil && said.Hint != "" {
		return said
	}
	if said != nil {
		return said.WithHint("the whole log is %s", o.log())
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

// log is where a platform in the background logs.
func (o devOptions) log() string { return filepath.Join(o.dir, dev.LogName) }
