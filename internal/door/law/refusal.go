package law

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/metacircular/mcp/internal/identity"
)

// Reason is why a call is refused.
type Reason string

// The reasons.
const (
	// NoIdentity: nothing says who calls.
	NoIdentity Reason = "no identity"
	// NotPermitted: the method, or the type of workflow, is not for the role.
	NotPermitted Reason = "not permitted"
	// ForeignNamespace: it is not the fleet's.
	ForeignNamespace Reason = "namespace"
	// ForbiddenField: the request has a field that it must not have, or a value of one.
	ForbiddenField Reason = "field"
	// ForeignQueue: the task queue is another's.
	ForeignQueue Reason = "queue"
	// ForeignWorkflow: the id of the workflow is not that of its input, or is another's.
	ForeignWorkflow Reason = "workflow"
	// ForeignService: the caller may not use the service.
	ForeignService Reason = "service"
	// ForeignToken: the token was not given to the caller, or not by a door.
	ForeignToken Reason = "token"
	// NotGranted: it takes a right that the caller was not granted.
	NotGranted Reason = "grant"
	// Unreadable: the input of a workflow is not what its type takes.
	Unreadable Reason = "input"
	// TooMuch: the caller makes too many calls at once, or sends too much.
	TooMuch Reason = "limit"
	// TooLarge: one request is too large. Repeating it does not help.
	TooLarge Reason = "size"
)

// Refusal says who was refused what, for a count.
type Refusal struct {
	Role   identity.Role
	Method string
	Reason Reason
}

// refusal is an error that a caller gets.
type refusal struct {
	reason  Reason
	message string
	way     string // out of it
}

func (r *refusal) Error() string { return r.message }

// refused returns the refusal of a call.
func (c *call) refused(reason Reason, format string, args ...any) *refusal {
	return &refusal{reason: reason, message: fmt.Sprintf(format, args...), way: waysOut[reason]}
}

// hint says instead what the caller can do.
func (r *refusal) hint(format string, args ...any) *refusal {
	r.way = fmt.Sprintf(format, args...)
	return r
}

// waysOut are, by reason, what most callers can do.
var waysOut = map[Reason]string{
	NotPermitted:    "use an identity of a role that may: mcp identity list",
	ForeignQueue:    "use the identity whose queue it is: mcp identity list",
	ForeignWorkflow: "use mcp's command line, which names workflows as the gateway expects",
	ForeignService:  "have an operator create an identity for that service: mcp identity create",
	ForeignToken:    "do nothing: the task is given out again after its timeout",
	NotGranted:      "have an operator grant it: mcp identity create --grant",
	TooMuch:         "call less often",
}

// upgrade returns the way out if a gateway refuses what it does not know: a field might
// change what a request means, so nothing unknown passes.
func (c *call) upgrade(does string) string {
	way := "if a newer mcp " + does + ", upgrade the gateways first"
	if c.law.version != "" {
		way += ": this one has version " + c.law.version
	}
	return way
}

// refusedBy begins the reason of a refusal in an error of Temporal's kind; by it, the
// command line distinguishes these errors from Temporal's own.
const refusedBy = "mcp-gateway: "

// refuse counts a refusal and makes it the error that the caller gets.
func (l *Law) refuse(c *call, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err // of Temporal, or of the connection to it
	}
	l.refusals.add(Refusal{c.caller.Role, c.method, r.reason})
	caller := "a caller without an identity"
	if !c.caller.IsZero() {
		caller = c.caller.String()
	}
	if l.limits.of(c.caller).lines.Allow() {
		l.log.Warn("a call is refused", "caller", caller, "method", c.method, "reason", string(r.reason), "cause", r.message)
	}
	text := fmt.Sprintf("the gateway refuses %s to %s: %s", c.method, caller, r.message)
	if r.way != "" {
		text += "; " + r.way
	}
	switch r.reason {
	case TooLarge:
		return serviceerror.ToStatus(serviceerror.NewInvalidArgument(text)).Err()
	case TooMuch:
		return serviceerror.ToStatus(serviceerror.NewResourceExhausted(enums.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, text)).Err()
	}
	return serviceerror.ToStatus(serviceerror.NewPermissionDenied(text, refusedBy+string(r.reason))).Err()
}

// refusals counts refused calls.
type refusals struct {
	each func(Refusal)

	mu    sync.Mutex
	count map[Refusal]int
}

func (r *refusals) add(one Refusal) {
	if r.each != nil {
		r.each(one)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = map[Refusal]int{}
	}
	r.count[one]++
}

func (r *refusals) counts() map[Refusal]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.count)
}
