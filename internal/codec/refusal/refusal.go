// Package refusal defines the error of a payload that cannot be decrypted, which passes
// through Temporal's client as an error of gRPC.
package refusal

import (
	"errors"
	"strings"

	"go.temporal.io/api/errordetails/v1"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/metacircular/mcp/internal/fault"
)

// reason marks these errors among those of Temporal's client.
const reason = "mcp: encryption key"

// New returns the error of a payload that cannot be decrypted.
func New(f *fault.Error) error { return unreadable{f} }

// unreadable is the error of a payload that cannot be decrypted, as an error of gRPC:
// the SDK does not repeat a call that is denied.
type unreadable struct{ fault *fault.Error }

func (e unreadable) Error() string { return e.fault.Error() }
func (e unreadable) Unwrap() error { return e.fault }

// GRPCStatus makes the SDK take e for an answer of Temporal.
func (e unreadable) GRPCStatus() *status.Status {
	denied := status.New(codes.PermissionDenied, e.fault.Message+separator+e.fault.Hint)
	if detailed, err := denied.WithDetails(&errordetails.PermissionDeniedFailure{Reason: reason}); err == nil {
		return detailed
	}
	return denied
}

// separator stands between message and hint of a fault in the text of a status.
const separator = "\n"

// FaultOf returns the fault of a payload that could not be decrypted, from an error of
// Temporal's client; nil for any other error.
func FaultOf(err error) *fault.Error {
	var own unreadable
	if errors.As(err, &own) {
		return own.fault
	}
	var denied *serviceerror.PermissionDenied
	if !errors.As(err, &denied) || denied.Reason != reason {
		return nil
	}
	message, hint, _ := strings.Cut(denied.Message, separator)
	f := fault.New(fault.Unauthorized, "%s", message)
	f.Hint = hint
	return f
}
