package podman

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
	"github.com/metacircular/mcp/internal/runtime/podman/printed"
)

// neverDetach are keys, typed one by one, at which podman ends its connection with a
// command. Podman always has some, and holds back a first one until it reads the next: so
// there are many, and they begin with one that is never typed.
var neverDetach = strings.Repeat("ctrl-^,", 31) + "ctrl-^"

// endPatience is how long podman may take to report the exit code of a command whose
// output has ended.
const endPatience = 15 * time.Second

// ExecAttached runs a command in a running container, with streams of its own, and returns
// its exit code. When ctx ends the command gets SIGHUP, as when a terminal is closed, and
// ExecAttached returns.
func (e *Engine) ExecAttached(ctx context.Context, name string, spec runtime.AttachedExec) (code int, err error) {
	id, err := e.runningID(ctx, name)
	if err != nil {
		return 0, err
	}
	code, err = e.execAttached(ctx, id, spec)
	if err != nil {
		return 0, e.translate(ctx, err, "run %s in %s", spec.Command[0], name)
	}
	return code, nil
}

func (e *Engine) execAttached(ctx context.Context, id string, spec runtime.AttachedExec) (int, error) {
	mark := marks.NewCommand()
	env := []string{mark.Variable()}
	if spec.Terminal {
		env = append(env, "TERM="+cmp.Or(spec.Term, "xterm"))
	}
	var session struct{ ID string }
	create := map[string]any{
		"Cmd": spec.Command, "AttachStdin": spec.Stdin != nil, "AttachStdout": true, "AttachStderr": true,
		"Tty": spec.Terminal, "Env": env, "DetachKeys": neverDetach,
	}
	if err := e.ask(ctx, post("/containers/%s/exec", id).sending(create), &session); err != nil {
		return 0, err
	}
	conn, err := e.upgrade(ctx, session.ID, spec)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	// The caller's end is that of the connection, and of the command.
	ended := context.AfterFunc(ctx, func() {
		_ = conn.Close()
		mark.HangUp()
	})
	defer ended()
	if spec.Started != nil {
		if err := spec.Started(); err != nil {
			go mark.HangUp()
			return 0, err
		}
	}
	if spec.Stdin != nil {
		go conn.input(spec.Stdin)
	}
	controlled, done := context.WithCancel(ctx)
	defer done()
	go e.control(controlled, session.ID, mark, spec)
	err = conn.output(spec)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		go mark.HangUp()
		return 0, err
	}
	return e.exitCode(ctx, session.ID)
}

// exitCode waits for the exit code of a command whose output has ended.
func (e *Engine) exitCode(ctx context.Context, session string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for {
		var state struct {
			Running  bool
			ExitCode int
		}
		if err := e.ask(ctx, get("/exec/%s/json", session), &state); err != nil {
			return 0, err
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		if err := pause(ctx); err != nil {
			return 0, fault.New(fault.Unavailable, "podman has ended the connection with a command that still runs")
		}
	}
}

// control resizes the terminal of a command and signals it until ctx ends.
func (e *Engine) control(ctx context.Context, session string, mark marks.Command, spec runtime.AttachedExec) {
	for {
		select {
		case <-ctx.Done():
			return
		case size := <-spec.Resizes:
			// A terminal of the old size is no error of the command.
			_ = e.ask(ctx, post("/exec/%s/resize", session).with(url.Values{
				"h": {strconv.Itoa(int(size.Rows))}, "w": {strconv.Itoa(int(size.Columns))}, "running": {"true"},
			}), nil)
		case name := <-spec.Signals:
			if number, known := signals[name]; known {
				mark.UntilSent(func() bool {
					var state struct{ Pid int }
					err := e.ask(ctx, get("/exec/%s/json", session), &state)
					return ctx.Err() != nil || err == nil && state.Pid > 0 && mark.Signal(state.Pid, number)
				})
			}
		}
	}
}

// signals are those that a command may get.
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "TSTP": syscall.SIGTSTP, "CONT": syscall.SIGCONT, "WINCH": syscall.SIGWINCH,
}

// upgraded is a connection to podman that has become that of a command.
type upgraded struct {
	*net.UnixConn
	reader *bufio.Reader
}

// upgrade starts a command, and returns the connection with it. The bindings return none
// that can be closed in one direction.
func (e *Engine) upgrade(ctx context.Context, session string, spec runtime.AttachedExec) (*upgraded, error) {
	limit := cmp.Or(e.longest, changing)
	call := "POST /exec/" + session + "/start"
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(e.socket, "unix://"))
	if err != nil {
		return nil, err
	}
	conn := &upgraded{raw.(*net.UnixConn), bufio.NewReaderSize(raw, 64<<10)}
	interrupted := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer interrupted()
	_ = conn.SetDeadline(time.Now().Add(limit))
	body, err := json.Marshal(map[string]any{"Detach": false, "Tty": spec.Terminal, "h": spec.Size.Rows, "w": spec.Size.Columns})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://d/v4.0.0/libpod/exec/"+url.PathEscape(session)+"/start", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"tcp"}, "Content-Type": {"application/json"}}
	err = request.Write(conn)
	var response *http.Response
	if err == nil {
		response, err = http.ReadResponse(conn.reader, request)
	}
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols && response.StatusCode != http.StatusOK {
		err = refusedUpgrade(response)
	}
	if err != nil {
		_ = conn.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = unanswered{call, limit}
		}
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// refusedUpgrade is podman's error in its answer.
func refusedUpgrade(response *http.Response) error {
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	var model errorhandling.ErrorModel
	if json.Unmarshal(text, &model) != nil || model.Message == "" {
		return fmt.Errorf("podman answers %s", response.Status)
	}
	return &model
}

// input sends the command's input, and its end.
func (c *upgraded) input(from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := c.Write(buffer[:n]); err != nil {
				return // the command takes no more
			}
		}
		if err != nil {
			_ = c.CloseWrite()
			return
		}
	}
}

// output writes what the command prints until its end.
func (c *upgraded) output(spec runtime.AttachedExec) error {
	if spec.Terminal {
		_, err := io.Copy(spec.Stdout, onlyReader{c.reader})
		return err
	}
	var failed error
	err := printed.Frames(c.reader, func(stderr bool, frame []byte) bool {
		to := spec.Stdout
		if stderr {
			to = spec.Stderr
		}
		_, failed = to.Write(frame)
		return failed == nil
	})
	return errors.Join(err, failed)
}

// onlyReader hides the other methods of a reader.
type onlyReader struct{ io.Reader }
