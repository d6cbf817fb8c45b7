package crash

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/interceptor"

	"github.com/metacircular/mcp/internal/cli"
	"github.com/metacircular/mcp/internal/dev/parts"
)

// stageVariable makes this test binary mcp itself, with one addition: its
// activities are announced on the socket that the variable names.
const stageVariable = "CRASH_STAGE"

// beMcp is mcp's main, in a process that the harness has started.
func beMcp(stage string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &cli.App{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: getenv,
		Interceptors: []interceptor.WorkerInterceptor{&announcer{socket: stage}},
	}
	return app.Run(ctx, os.Args[1:])
}

// configure writes two mcp.toml: the operator's, and that of the roles.
func (r *rig) configure(temporal string) error {
	common := fmt.Sprintf("services = %q\n[temporal]\naddress = %q\n[image_registry]\ninsecure = [%q]\n[ports]\nrest = \"2s\"\n", r.path("services"), temporal, r.image)
	roles := common + fmt.Sprintf("[postgres]\nurl = %q\n[node]\nsocket = %q\n[build]\nsocket = %q\nlogs = %q\n", r.postgres, r.socket, r.socket, r.path("builds"))
	if err := os.WriteFile(r.path("roles.toml"), []byte(roles), 0o600); err != nil {
		return err
	}
	return os.WriteFile(r.path("mcp.toml"), []byte(common+"[build]\nbuilder = \"bob\"\n"), 0o600)
}

// startWorkers starts the roles, each in a process of its own.
func (r *rig) startWorkers(ctx context.Context) error {
	for name, flags := range map[string][]string{
		theControlWorker: {"--control"},
		theNodeWorker:    {"--node", "local"},
		theBuilder:       {"--builder", "bob", "--workspace", r.path("workspace")},
	} {
		log := filepath.Join(r.dir, name+".log")
		r.parts[name] = &part{name: name, start: func(context.Context) (process, error) {
			return parts.Start(parts.Command{
				Name: name, Path: self(), Args: append([]string{"--config", r.path("roles.toml"), "worker"}, flags...),
				Env: []string{stageVariable + "=" + r.path("stage.sock")}, Dir: r.dir, LogFile: log,
			})
		}}
		if err := r.parts[name].up(ctx); err != nil {
			return err
		}
		err := await(30*time.Second, name+" is ready", func() bool {
			text, _ := os.ReadFile(log)
			return bytes.Contains(text, []byte("worker ready"))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// command is a verb that an operator runs, as a process.
type command struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	done           chan struct{}
}

// mcp starts a verb.
func (r *rig) mcp(args ...string) (*command, error) {
	c := &command{done: make(chan struct{})}
	c.cmd = exec.Command(self(), append([]string{"--config", r.path("mcp.toml")}, args...)...)
	c.cmd.Env = append(os.Environ(), stageVariable+"="+r.path("stage.sock"))
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = r.dir, &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the exit code says it all
	}()
	return c, nil
}

// PID, Done and Stop make a command a process like the rig's.
func (c *command) PID() int              { return c.cmd.Process.Pid }
func (c *command) Done() <-chan struct{} { return c.done }

// Stop ends it at once.
func (c *command) Stop() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// code is the exit code of a command that has ended; -1 if it was killed.
func (c *command) code() int { return c.cmd.ProcessState.ExitCode() }

// run runs a verb to its end, where nothing fails.
func (r *rig) run(args ...string) error {
	c, err := r.mcp(args...)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(patience):
		c.Stop()
	}
	if c.code() != 0 {
		return fmt.Errorf("mcp %s: exit %d: %s", strings.Join(args, " "), c.code(), c.stderr.String())
	}
	return nil
}

// self is this program, whatever directory it is started in.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// getenv hides from mcp what the developer's shell says of another.
func getenv(name string) string {
	if strings.HasPrefix(name, "TEMPORAL_") || strings.HasPrefix(name, "MCP_") {
		return ""
	}
	return os.Getenv(name)
}
