package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// checkTimeout is how long a check may take.
const checkTimeout = 2 * time.Second

// checks are what makes a process ready.
type checks struct {
	mu     sync.Mutex
	byName map[string]func(context.Context) error
	// unready is why the process as a whole is not ready; "" if it may be.
	unready string
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// Reason says why the process as a whole is not ready: it starts, or stops.
	Reason string        `json:"reason,omitempty"`
	Checks []CheckResult `json:"checks"`
}

// CheckResult is how one check went.
type CheckResult struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Reason is why it is not OK.
	Reason    string `json:"reason,omitempty"`
	ElapsedMS int64  `json:"elapsed_ms"`
}

// Check adds a condition that must hold for the process to be ready; it goes
// over one of the same name. Its context ends after two seconds.
func (t *Telemetry) Check(name string, ask func(context.Context) error) {
	t.checks.mu.Lock()
	defer t.checks.mu.Unlock()
	if t.checks.byName == nil {
		t.checks.byName = map[string]func(context.Context) error{}
	}
	t.checks.byName[name] = ask
}

// Ready says that the process does its work, as long as its checks hold.
func (t *Telemetry) Ready() { t.Unready("") }

// Unready says that the process does not do its work, and why.
func (t *Telemetry) Unready(reason string) {
	t.checks.mu.Lock()
	defer t.checks.mu.Unlock()
	t.checks.unready = reason
}

// serve answers with a Readiness: 200 if ready, 503 if not.
func (c *checks) serve(w http.ResponseWriter, r *http.Request) {
	answer := c.ask(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
}

// ask makes every check, all at once.
func (c *checks) ask(ctx context.Context) Readiness {
	c.mu.Lock()
	answer := Readiness{Ready: c.unready == "", Reason: c.unready, Checks: make([]CheckResult, 0, len(c.byName))}
	results := make(chan CheckResult, len(c.byName))
	for name, ask := range c.byName {
		go func() { results <- bounded(ctx, name, ask) }()
	}
	asked := len(c.byName)
	c.mu.Unlock()
	for range asked {
		result := <-results
		answer.Ready = answer.Ready && result.OK
		answer.Checks = append(answer.Checks, result)
	}
	slices.SortFunc(answer.Checks, func(a, b CheckResult) int { return strings.Compare(a.Name, b.Name) })
	return answer
}

// bounded makes one check, and does not wait for one that ignores its context.
func bounded(ctx context.Context, name string, ask func(context.Context) error) CheckResult {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	began := time.Now()
	asked := make(chan error, 1)
	go func() { asked <- ask(ctx) }()
	var err error
	select {
	case err = <-asked:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", checkTimeout)
	}
	result := CheckResult{Name: name, OK: err == nil, ElapsedMS: time.Since(began).Milliseconds()}
	if err != nil {
		result.Reason = err.Error()
	}
	return result
}
