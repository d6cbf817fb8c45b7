package exit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// Code is an exit code. As an error it ends the command with that code and prints
// nothing more.
type Code int

// The exit codes of mcp. exec adds that of the command which it runs.
const (
	Done           Code = 0   // done, or nothing to do
	Failed         Code = 1   // failed, and everything put back
	BadUsage       Code = 2   // bad usage or definition
	Dirty          Code = 3   // failed, and something could not be put back
	NoControlPlane Code = 4   // the control plane cannot be reached
	Incomplete     Code = 5   // input was not passed on, or output is not whole
	Interrupted    Code = 130 // interrupted
)

func (c Code) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// CodeOf returns the Code that err is, or wraps.
func CodeOf(err error) (Code, bool) {
	var code Code
	ok := errors.As(err, &code)
	return code, ok
}

// IfInterrupted returns Interrupted once ctx has ended, and nil before.
func IfInterrupted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return Interrupted
}

// Usage makes err a mistake in the command line, the configuration or a definition.
func Usage(err error) error { return usageError{err} }

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Unreachable makes f an error that means that the control plane cannot be reached.
func Unreachable(f *fault.Error) error { return unreachableError{f} }

type unreachableError struct{ fault *fault.Error }

func (e unreachableError) Error() string { return e.fault.Error() }
func (e unreachableError) Unwrap() error { return e.fault }

// Cut makes f an error that means that input was not passed on, or that output is not
// whole.
func Cut(f *fault.Error) error { return cutError{f} }

type cutError struct{ fault *fault.Error }

func (e cutError) Error() string { return e.fault.Error() }
func (e cutError) Unwrap() error { return e.fault }

// IsUnreachable reports whether err is, or wraps, an error of [Unreachable].
func IsUnreachable(err error) bool { return errors.As(err, new(unreachableError)) }

// Classify returns the exit code for an error that is no Code, and the fault to
// show.
func Classify(err error) (Code, *fault.Error) {
	var usage usageError
	var unreachable unreachableError
	var cut cutError
	var problems servicedef.Errors
	var unknown *servicedir.NotFoundError
	switch {
	case errors.As(err, &unreachable):
		return NoControlPlane, unreachable.fault
	case errors.As(err, &cut):
		return Incomplete, cut.fault
	case errors.As(err, &unknown):
		f := fault.Translate(fault.NotFound, unknown)
		if len(unknown.Nearest) > 0 {
			f = f.WithHint("did you mean %s?", strings.Join(unknown.Nearest, " or "))
		}
		return BadUsage, f
	case errors.As(err, &usage) && errors.As(err, new(*fault.Error)):
		return BadUsage, fault.Of(err)
	case errors.As(err, &problems), errors.As(err, &usage):
		return BadUsage, fault.Translate(fault.Invalid, err)
	}
	return Failed, fault.Of(err)
}

// FaultOf returns the fault to show for err.
func FaultOf(err error) *fault.Error {
	_, f := Classify(err)
	return f
}
