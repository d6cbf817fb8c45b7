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

// checkTimeout bounds one check.
const checkTimeout = 2 * time.Second

// checks holds the conditions for a process to be ready.
type checks struct {
	mu     sync.Mutex
	byName map[string]func(context.Context) error
	// unready is the reason for which the process is not ready, whatever its
	// checks return; "" for none.
	unready string
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// Reason is set if the process is not ready whatever its checks return,
	// because it starts or stops.
	Reason string        `json:"reason,omitempty"`
	Checks []CheckResult `json:"checks"`
}

// CheckResult is the result of one check.
type CheckResult struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Reason is set unless OK.
	Reason    string `json:"reason,omitempty"`
	ElapsedMS int64  `json:"elapsed_ms"`
}

// set sets the check of that name.
func (c *checks) set(name string, ask func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]func(context.Context) error{}
	}
	c.byName[name] = ask
}

// setUnready sets the reason for which the process is not ready; "" for none.
func (c *checks) setUnready(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unready = reason
}

// serve answers with a Readiness: 200 if ready, 503 if not.
func (c *checks) serve(w http.ResponseWriter, r *http.Request) {
	answer := c.ask(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

// ask runs all checks concurrently.
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

// bounded runs one check, and does not wait for one that ignores its context.
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
