package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pool lends rigs to all tests of the package. It starts one where none is idle, up
// to as many as -rigs says.
var pool rigPool

type rigPool struct {
	open  sync.Once
	err   error         // why it could not be opened
	dir   string        // what all rigs are below
	app   string        // the test service's program
	slots chan struct{} // has one value for each rig that is lent

	mu         sync.Mutex
	started    int
	rigs, idle []*rig
}

// rig lends a rig to a test.
func (p *rigPool) rig(t *testing.T) *rig {
	t.Helper()
	r, err := p.take()
	require.NoError(t, err)
	t.Cleanup(func() { p.give(r) })
	return r
}

// take waits for a rig.
func (p *rigPool) take() (*rig, error) {
	p.open.Do(func() { p.err = p.setUp() })
	if p.err != nil {
		return nil, p.err
	}
	p.slots <- struct{}{}
	if r := p.last(); r != nil {
		return r, nil
	}
	r, err := p.start()
	if err != nil {
		<-p.slots
	}
	return r, err
}

// give returns a rig that take has lent.
func (p *rigPool) give(r *rig) {
	p.mu.Lock()
	p.idle = append(p.idle, r)
	p.mu.Unlock()
	<-p.slots
}

// last is an idle rig; nil where there is none.
func (p *rigPool) last() (r *rig) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		r, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	return r
}

// start starts a rig, and builds its images.
func (p *rigPool) start() (*rig, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p.mu.Lock()
	p.started++
	dir := filepath.Join(p.dir, fmt.Sprint(p.started))
	p.mu.Unlock()
	r, err := newRig(ctx, dir, len(nodeNames))
	p.mu.Lock()
	p.rigs = append(p.rigs, r)
	p.mu.Unlock()
	if err == nil {
		err = r.buildImages(p.app)
	}
	return r, err
}

// setUp makes the directory, and builds the test service and an edge that announces its
// activities.
func (p *rigPool) setUp() (err error) {
	p.slots = make(chan struct{}, *rigs)
	if p.dir, err = os.MkdirTemp("", "mcp-crash-"); err != nil {
		return err
	}
	if err := os.Chmod(p.dir, 0o755); err != nil { // Postgres runs as another user
		return err
	}
	p.app = filepath.Join(p.dir, "app")
	for _, program := range []struct{ out, dir, of string }{
		{p.app, ".", "../e2e/testdata/app"},
		{filepath.Join(p.dir, "mcp-edge"), "../../edge", "./e2e/announced"},
	} {
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program.out, program.of)
		build.Dir, build.Env = program.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", program.of, err, out)
		}
	}
	return nil
}

// close ends all rigs.
func (p *rigPool) close() error {
	if p.dir == "" {
		return nil
	}
	problems := make([]error, len(p.rigs)+1)
	var group sync.WaitGroup
	for i, r := range p.rigs {
		group.Go(func() { problems[i] = r.down() })
	}
	group.Wait()
	problems[len(p.rigs)] = os.RemoveAll(p.dir)
	return errors.Join(problems...)
}

// runBaselines runs each scenario with no fault. The points that they reach make the
// matrix.
func runBaselines(t *testing.T) (matrix []*faultCase, baselines []*faultCase) {
	t.Helper()
	for _, s := range asked(scenarios) {
		baselines = append(baselines, &faultCase{scenario: s})
	}
	runAll(baselines, func() bool { return false })
	var hanging []*faultCase
	for _, baseline := range baselines {
		require.NoError(t, baseline.err, baseline.name())
		require.Equal(t, baseline.scenario.want, baseline.verdict, baseline.name())
		matrix = append(matrix, baseline.failing()...)
		hanging = append(hanging, baseline.hanging()...)
	}
	shuffle(hanging)
	first, others := cover(hanging)
	matrix = append(matrix, others...)
	shuffle(matrix)
	return slices.Concat(first, lengthyCases(baselines), matrix), baselines
}

// asked returns the scenario of the case that was asked for by its whole name,
// otherwise all.
func asked(all []scenario) []scenario {
	for i, s := range all {
		if strings.HasPrefix(*only, s.name+": ") {
			return all[i : i+1]
		}
	}
	return all
}

// runAll runs cases side by side, in their order, until there are no more or enough
// returns true. It returns those that were run.
func runAll(cases []*faultCase, enough func() bool) []*faultCase {
	queue := make(chan *faultCase)
	go func() {
		defer close(queue)
		for _, c := range cases {
			if enough() {
				return
			}
			queue <- c
		}
	}()
	var mu sync.Mutex
	var done []*faultCase
	var group sync.WaitGroup
	for range *rigs {
		group.Go(func() {
			for c := range queue {
				took := c.onSomeRig()
				mu.Lock()
				done = append(done, c)
				mu.Unlock()
				c.print(took)
			}
		})
	}
	group.Wait()
	return done
}

// onSomeRig executes the case on a rig of the pool, and returns how long it took.
func (fc *faultCase) onSomeRig() time.Duration {
	r, err := pool.take()
	if err != nil {
		fc.verdict, fc.err = wrong, err
		return 0
	}
	defer pool.give(r)
	started, logged := time.Now(), r.logSizes()
	fc.execute(r)
	if fc.err != nil {
		fc.logs = r.loggedSince(logged)
	}
	return time.Since(started)
}

// print prints how a case ended while others still run: a wrong one always, each
// where many were asked for.
func (fc *faultCase) print(took time.Duration) {
	if fc.err != nil || *full || *only != "" {
		fmt.Fprintf(os.Stderr, "%s %5.1fs %-8s %s\n", time.Now().Format(time.TimeOnly), took.Seconds(), fc.verdict, fc.name())
	}
	if fc.err != nil && fc.rig != nil {
		fmt.Fprintf(os.Stderr, "  on %s, service %s: %v\n%s", fc.rig.dir, fc.service, fc.err, fc.logs)
	}
}
