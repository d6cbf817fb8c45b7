package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hall is where rigs stand.
type hall struct {
	t    *testing.T
	rigs []*rig
}

// newHall starts that many rigs of so many nodes, and ends them with the test.
func newHall(t *testing.T, rigs, nodes int) *hall {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcp-crash-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) // Postgres runs as another user
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	app := filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-o", app, "../e2e/testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	h := &hall{t: t, rigs: make([]*rig, rigs)}
	failed := make([]error, rigs)
	var group sync.WaitGroup
	for i := range rigs {
		group.Add(1)
		go func() {
			defer group.Done()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			r, err := newRig(ctx, filepath.Join(dir, fmt.Sprint(i)), nodes)
			h.rigs[i] = r
			if err == nil {
				err = r.furnish(app)
			}
			failed[i] = err
		}()
	}
	group.Wait()
	t.Cleanup(func() {
		for _, r := range h.rigs {
			assert.NoError(t, r.down())
		}
	})
	require.NoError(t, errors.Join(failed...))
	return h
}

// rehearse plays each story with nothing failing. What points it has makes
// the matrix.
func (h *hall) rehearse() (matrix []*play, results []*play) {
	h.t.Helper()
	for _, s := range stories {
		results = append(results, &play{story: s})
	}
	h.play(results, func() bool { return false })
	for _, calm := range results {
		require.NoError(h.t, calm.err, calm.name())
		require.Equal(h.t, calm.story.ends, calm.verdict, calm.name())
		matrix = append(matrix, calm.failing()...)
	}
	shuffle(matrix)
	return append(lengthyCases(results), matrix...), results
}

// play plays cases on all rigs until there are no more, or it is enough, and
// returns those that were played.
func (h *hall) play(cases []*play, enough func() bool) []*play {
	queue := make(chan *play)
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
	var played []*play
	var group sync.WaitGroup
	for _, r := range h.rigs {
		group.Add(1)
		go func() {
			defer group.Done()
			for c := range queue {
				started := time.Now()
				c.perform(r)
				mu.Lock()
				played = append(played, c)
				mu.Unlock()
				c.tell(time.Since(started))
			}
		}()
	}
	group.Wait()
	return played
}

// tell says how a case ended while others still run: what is wrong in any
// case, and all where somebody has asked for many.
func (p *play) tell(took time.Duration) {
	if p.err != nil || *full || *only != "" {
		fmt.Fprintf(os.Stderr, "%s %5.1fs %-8s %s\n", time.Now().Format(time.TimeOnly), took.Seconds(), p.verdict, p.name())
	}
	if p.err != nil {
		fmt.Fprintf(os.Stderr, "  on %s, service %s: %v\n", p.rig.dir, p.service, p.err)
	}
}
