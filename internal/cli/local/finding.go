package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// finding is one entry of mcp doctor --json.
type finding struct {
	Check string `json:"check"`
	// Status is one of the status… constants.
	Status string `json:"status"`
	Detail string `json:"detail"`
	// Kind is that of the error, where one was found.
	Kind fault.Kind `json:"kind,omitempty"`
	// Hint is what repairs it; "" where nothing has to be repaired.
	Hint string `json:"hint"`
	// unreachable is set where the control plane cannot be reached.
	unreachable bool
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// checkTimeout bounds each check.
const checkTimeout = 5 * time.Second

func ok(check, detail string, args ...any) finding {
	return finding{Check: check, Status: statusOK, Detail: fmt.Sprintf(detail, args...)}
}

func warn(check, hint, detail string, args ...any) finding {
	return finding{Check: check, Status: statusWarn, Detail: fmt.Sprintf(detail, args...), Hint: hint}
}

func fail(check string, f *fault.Error) finding {
	return finding{Check: check, Status: statusFail, Detail: f.Message, Kind: f.Kind, Hint: f.Hint}
}

// sideBySide runs checks concurrently, each within checkTimeout, and keeps their order.
func sideBySide(ctx context.Context, checks ...func(context.Context) []finding) []finding {
	found := make([]chan []finding, len(checks))
	for i, check := range checks {
		found[i] = make(chan []finding, 1)
		go func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			found[i] <- check(ctx)
		}()
	}
	var all []finding
	for _, f := range found {
		all = append(all, <-f...)
	}
	return all
}

// late returns the fault of a failed check, with a message of mcp's own for a timeout.
func late(err error) *fault.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "no answer in %s", checkTimeout)
	}
	return fault.Of(err)
}

// hinted returns a fault with the hint, unless it has one already.
func hinted(f *fault.Error, hint string, args ...any) *fault.Error {
	return f.WithHint("%s", cmp.Or(f.Hint, fmt.Sprintf(hint, args...)))
}

// away returns the finding about a part of the control plane that cannot be reached.
func away(check string, f *fault.Error) finding {
	found := fail(check, f)
	found.unreachable = true
	return found
}

// sameVersion warns of a worker whose mcp has another version than this one.
func sameVersion(check, version, theirs, detail string) finding {
	if theirs != version {
		return warn(check, "upgrade the older: control workers first", "%s; it is mcp %s, and this is mcp %s", detail, theirs, version)
	}
	return ok(check, "%s; mcp %s", detail, theirs)
}
