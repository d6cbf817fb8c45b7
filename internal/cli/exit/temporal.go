package exit

import (
	"context"
	"errors"
	"strings"

	"go.temporal.io/api/serviceerror"

	"github.com/metacircular/mcp/internal/codec/refusal"
	"github.com/metacircular/mcp/internal/fault"
)

// DoorRefuses begins the reason of every call that a gateway refuses: the control plane can
// be reached, but does not make the call for this identity.
const DoorRefuses = "mcp-gateway: "

// Temporal translates an error of Temporal's client: a call that was refused, or
// not answered. An error that has an exit code already, or says that the control plane
// cannot be reached, stays as it is.
func Temporal(err error) error {
	if _, ends := CodeOf(err); ends || IsUnreachable(err) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	if unread := refusal.FaultOf(err); unread != nil {
		return Unreachable(unread)
	}
	kind := KindOf(err)
	f := fault.Wrap(kind, err, "ask Temporal")
	var namespace *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &denied) && strings.HasPrefix(denied.Reason, DoorRefuses):
		return fault.New(kind, "%s", denied.Message)
	case errors.As(err, &namespace):
		f = fault.New(fault.Unavailable, "Temporal has no namespace %s", namespace.Namespace).
			WithHint("make it: temporal operator namespace create --namespace %s; then start a control worker: mcp worker --control", namespace.Namespace)
		return Unreachable(f)
	case kind == fault.Invalid && strings.Contains(err.Error(), "no mapping defined for search attribute"):
		f = fault.New(fault.Unavailable, "no control worker has served %s yet", namespaceIn(err)).
			WithHint("start one: mcp worker --control")
		return Unreachable(f)
	case kind == fault.Unavailable, kind == fault.Unauthorized:
		return Unreachable(f)
	}
	return f
}

// KindOf returns the kind of an error of Temporal's client. The same call may succeed later
// only after Unavailable.
func KindOf(err error) fault.Kind {
	switch serviceerror.ToStatus(err).Code().String() {
	case "InvalidArgument":
		return fault.Invalid
	case "NotFound":
		return fault.NotFound
	case "PermissionDenied", "Unauthenticated":
		return fault.Unauthorized
	}
	return fault.Unavailable
}

// namespaceIn returns the namespace that "Namespace x has no mapping …" names.
func namespaceIn(err error) string {
	_, text, _ := strings.Cut(err.Error(), "Namespace ")
	name, _, found := strings.Cut(text, " ")
	if !found {
		return "this namespace"
	}
	return "namespace " + name
}
