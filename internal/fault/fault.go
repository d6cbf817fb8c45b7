// Package fault gives every error that reaches an operator one shape: what
// kind it is, what was being done to what, and what to do about it.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is, and with that whether trying
// again can help.
type Kind string

const (
	// NotFound: the thing named does not exist (an image tag, a container).
	NotFound Kind = "NotFound"
	// Conflict: the thing exists already, or a newer deployment owns it.
	Conflict Kind = "Conflict"
	// PortInUse: a host port is held by somebody else.
	PortInUse Kind = "PortInUse"
	// Unauthorized: credentials are missing, wrong or not enough (401, 403).
	Unauthorized Kind = "Unauthorized"
	// Unavailable: the other side cannot be reached, is overloaded or has
	// failed for now (connection refused, 429, 5xx). The only kind that is
	// worth waiting for.
	Unavailable Kind = "Unavailable"
	// Invalid: the request can never work as it stands (a definition, a
	// source that does not build, an unknown user in an image).
	Invalid Kind = "Invalid"
	// Unhealthy: a container ran, and then exited or failed its health check.
	Unhealthy Kind = "Unhealthy"
	// Internal: none of the above; a defect in mcp or in what it talks to.
	Internal Kind = "Internal"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{NotFound, Conflict, PortInUse, Unauthorized, Unavailable, Invalid, Unhealthy, Internal}
}

// Retryable reports whether the same call may succeed later with nothing
// changed but time.
func (k Kind) Retryable() bool { return k == Unavailable || k == Internal }

// Error is a failure as an operator should see it. It travels as JSON between
// the worker that met it and the terminal that shows it.
type Error struct {
	Kind Kind `json:"kind"`
	// Message says what was being done, to what, and what went wrong.
	Message string `json:"message"`
	// Component and Node name where it happened, if it happened somewhere.
	Component string `json:"component,omitempty"`
	Node      string `json:"node,omitempty"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
	// Log holds the last lines of output of what failed, oldest first.
	Log []string `json:"log,omitempty"`
	// Port is the host port that a PortInUse is about; 0 if not known.
	Port int `json:"port,omitempty"`

	cause error
}

// Error is the message alone; the hint and the log are for the renderer.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the foreign error that this one was translated from, if any.
func (e *Error) Unwrap() error { return e.cause }

// New makes an Error of one kind.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap translates a foreign error: its text becomes the end of the message,
// and errors.Is and errors.As still find it.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...) + ": " + cause.Error(), cause: cause}
}

// WithHint returns e with advice on what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Is reports whether err is, or wraps, an Error of the given kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Of finds the Error in err's chain. An error without one is of kind Internal.
// When the Error was wrapped with more context, that context is kept in the
// message.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Kind: Internal, Message: err.Error(), cause: err}
	}
	if outer := err.Error(); outer != e.Message {
		wrapped := *e
		wrapped.Message, wrapped.cause = outer, err
		return &wrapped
	}
	return e
}
