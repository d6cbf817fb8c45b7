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

// part is one process of the rig, which may die and come back.
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

func (p *part) down() {
	if running := p.now(); running != nil {
		signalTree(running.PID(), syscall.SIGCONT)
		running.Stop()
	}
}

// failure is how a process fails.
type failure struct {
	name string
	// kill ends it without a word; else it only stands still.
	kill bool
	// away is how long it is not there.
	away time.Duration
}

// strike lets a part fail, and returns when it has failed; the channel gives
// its error, or nil, when it is back. A command that has ended cannot fail.
func (p *part) strike(f failure) <-chan error {
	back := make(chan error, 1)
	victim := p.now()
	switch {
	case hasEnded(victim):
		back <- nil
	case f.kill:
		kill(victim)
		time.AfterFunc(f.away, func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			back <- p.up(ctx)
		})
	default:
		signalTree(victim.PID(), syscall.SIGSTOP)
		time.AfterFunc(f.away, func() {
			signalTree(victim.PID(), syscall.SIGCONT)
			back <- nil
		})
	}
	return back
}

// kill ends a process without a word.
func kill(victim process) {
	if !hasEnded(victim) {
		_ = syscall.Kill(victim.PID(), syscall.SIGKILL)
		<-victim.Done()
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

// signalTree signals a process and its children, which for Postgres do the
// work; the others' children are none of theirs.
func signalTree(pid int, signal syscall.Signal) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	_ = syscall.Kill(pid, signal)
	for _, child := range strings.Fields(string(children)) {
		if id, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(id, signal)
		}
	}
}
