package fault

import (
	"errors"
	"fmt"
	"syscall"
)

// Error is a failure as an operator sees it. It travels as JSON between the
// worker on which it occurs and the terminal that prints it.
type Error struct {
	Kind Kind `json:"kind"`
	// Message names the operation, its object and the cause.
	Message string `json:"message"`
	// Component and Node name the place, if there is one.
	Component string `json:"component,omitempty"`
	Node      string `json:"node,omitempty"`
	// Hint is advice on what to do.
	Hint string `json:"hint,omitempty"`
	// Log holds the last lines of output of the object, oldest first.
	Log []string `json:"log,omitempty"`
	// Port is the host port of a PortInUse; 0 if it is unknown.
	Port int `json:"port,omitempty"`

	cause error
}

// Error returns the message; hint and log are for the renderer.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the foreign error that this one translates, if any.
func (e *Error) Unwrap() error { return e.cause }

// New returns an Error of one kind.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap translates a foreign error: its text becomes the end of the message, and
// errors.Is and errors.As still find it. A full disk is DiskFull where the caller
// would give the kind Internal.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: orFull(kind, cause), Message: fmt.Sprintf(format, args...) + ": " + cause.Error(), cause: cause}
}

// Translate translates a foreign error whose text is the whole message.
func Translate(kind Kind, cause error) *Error {
	return &Error{Kind: orFull(kind, cause), Message: cause.Error(), cause: cause}
}

// orFull returns kind, or DiskFull for an unclassified error of a full disk.
func orFull(kind Kind, cause error) Kind {
	if kind == Internal && (errors.Is(cause, syscall.ENOSPC) || errors.Is(cause, syscall.EDQUOT)) {
		return DiskFull
	}
	return kind
}

// WithHint returns a copy of e with advice on what to do. e itself may be shared,
// and stays unchanged.
func (e *Error) WithHint(format string, args ...any) *Error {
	hinted := *e
	hinted.Hint = fmt.Sprintf(format, args...)
	return &hinted
}

// Is reports whether err is, or wraps, an Error of the given kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Of returns a copy of the Error in err's chain, with the message of the
// outermost error. An error without one in its chain becomes one of kind Internal, or DiskFull.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Kind: orFull(Internal, err), Message: err.Error(), cause: err}
	}
	found := *e
	if outer := err.Error(); outer != e.Message {
		found.Message, found.cause = outer, err
	}
	return &found
}
