package crash

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs, as internal/dev/parts starts them.
type process interface {
	PID() int
	Done() <-chan struct{}
	Stop()
}

// part is one process of the rig, which may be killed and restarted.
type part struct {
	name  string
	start func(ctx context.Context) (process, error)

	mu      sync.Mutex
	running process
}

func (p *part) up(ctx context.Context) error {
	running, err := p.start(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = running
	return nil
}

func (p *part) now() process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

func (p *part) ended() bool { return hasEnded(p.now()) }

// kill sends SIGKILL.
func (p *part) kill() { kill(p.now()) }

// freeze stops it with SIGSTOP, and thaw continues it.
func (p *part) freeze() { signalTree(p.now().PID(), syscall.SIGSTOP) }
func (p *part) thaw()   { signalTree(p.now().PID(), syscall.SIGCONT) }

// ask sends SIGTERM; endTimeout is how long it may take to end.
func (p *part) ask() { _ = syscall.Kill(p.now().PID(), syscall.SIGTERM) }

const endTimeout = time.Minute

// again restarts it when it has ended.
func (p *part) again(ctx context.Context) error {
	if err := await(endTimeout, p.name+" ends", p.ended); err != nil {
		return err
	}
	return p.up(ctx)
}

// kill kills a process, and waits for its end.
func kill(part process) {
	if !hasEnded(part) {
		_ = syscall.Kill(part.PID(), syscall.SIGKILL)
		<-part.Done()
	}
}

func hasEnded(p process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// signalTree signals a process and its children: those of Postgres do its work.
func signalTree(pid int, signal syscall.Signal) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	_ = syscall.Kill(pid, signal)
	for _, child := range strings.Fields(string(children)) {
		if id, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(id, signal)
		}
	}
}
