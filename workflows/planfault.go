package workflows

import (
	"errors"
	"strings"

	"github.com/metacircular/mcp/activities/onnode"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/secrets"
)

// planFault is the fault of a plan that cannot be made.
func planFault(err error) error {
	f := fault.Wrap(fault.Invalid, err, "plan the deploy")
	var foreign *plan.ForeignContainerError
	if errors.As(err, &foreign) {
		f = fault.Translate(fault.Conflict, foreign).
			WithHint("remove or rename it on %s, or give the component another name", foreign.Node)
		if foreign.Owner != "" {
			f = f.WithHint("give the component another name, or another node")
		}
		f.Node = foreign.Node
	}
	var draining *plan.DrainingNodeError
	if errors.As(err, &draining) {
		f = fault.Translate(fault.Conflict, draining).
			WithHint("let it have new containers again: mcp node activate %s; or give the component another node", draining.Node)
		f.Component, f.Node = draining.Component, draining.Node
	}
	var missing *plan.MissingSecretError
	if errors.As(err, &missing) {
		f = fault.Translate(fault.Invalid, missing).
			WithHint("%s", onnode.MissingSecretHint(missing.Service, missing.Node, missing.Secret))
		f.Component, f.Node = missing.Component, missing.Node
	}
	if secret := secretFault(err); secret != nil {
		f = secret
	}
	var unknown *plan.UnknownKeyError
	if errors.As(err, &unknown) {
		f = fault.Translate(fault.Invalid, unknown).
			WithHint("upgrade mcp on %s, which mcp node list shows, or leave the key out", unknown.Node)
		f.Component, f.Node = unknown.Component, unknown.Node
	}
	var lacking *plan.LackingError
	if errors.As(err, &lacking) {
		f = fault.Translate(fault.Invalid, lacking).WithHint("%s", lacking.Lack.Hint)
		f.Component, f.Node = lacking.Component, lacking.Node
	}
	var forbidden *plan.ForbiddenError
	if errors.As(err, &forbidden) {
		f = fault.Translate(fault.Forbidden, forbidden).
			WithHint("see its rules: mcp node policy %s; its owner changes them there", forbidden.Node)
		f.Component, f.Node = forbidden.Component, forbidden.Node
	}
	var held *plan.HeldError
	if errors.As(err, &held) {
		f = heldFault(held)
	}
	var claimed *plan.ClaimedError
	if errors.As(err, &claimed) {
		f = fault.Translate(fault.Conflict, claimed).
			WithHint("give it another hostname, path or port, or deploy %s without it first", claimed.Holder.Service)
	}
	var unreachable *plan.UnreachableError
	if errors.As(err, &unreachable) {
		f = fault.Translate(fault.Invalid, unreachable).
			WithHint("set publish in [node] of the mcp.toml of %s to an address that %s can reach, or leave the hostname out",
				unreachable.Node, unreachable.Edge)
		f.Component, f.Node = unreachable.Component, unreachable.Node
	}
	return f
}

// heldFault is the fault of a plan that needs what another component has.
func heldFault(held *plan.HeldError) *fault.Error {
	kind := fault.Conflict
	if held.Port != 0 {
		kind = fault.PortInUse
	}
	f := fault.Translate(kind, held)
	switch service, _, _ := strings.Cut(held.Holder, "/"); {
	case held.Partial:
		f = f.WithHint("deploy the whole service, which hands it over: mcp deploy %s", service)
	default:
		f = f.WithHint("name another port, or deploy %s without it first", service)
	}
	f.Component, f.Node, f.Port = held.Component, held.Node, held.Port
	return f
}

// secretFault is the fault of a plan that cannot be made because of a secret; nil for any
// other error.
func secretFault(err error) *fault.Error {
	var unset *plan.UnsetSecretError
	if errors.As(err, &unset) {
		f := fault.Translate(fault.Invalid, unset).
			WithHint("set it: mcp secret set %s/%s. One that was made with podman cannot be read, and so be no part of a value", unset.Service, unset.Secret)
		f.Component = unset.Component
		return f
	}
	var size *plan.SealedSizeError
	if errors.As(err, &size) {
		return fault.Translate(fault.Invalid, size).
			WithHint("have a component name only the secrets that it needs, or keep what is large in a volume, encrypted with a key that is a secret")
	}
	var sealed *plan.SealedError
	if !errors.As(err, &sealed) {
		return nil
	}
	f := fault.Translate(fault.Unauthorized, sealed)
	switch {
	case sealed.Gone:
		f.Kind = fault.NotFound
		f = f.WithHint("set the value again, and deploy: mcp secret set %s/%s", sealed.Service, sealed.Secret)
	case sealed.Hint != "":
		f = f.WithHint("%s", sealed.Hint)
	case sealed.Refused == "":
		f = f.WithHint("%s", secrets.SealAgain(secrets.Ref{Service: sealed.Service, Name: sealed.Secret, Version: sealed.Version}))
	}
	f.Component, f.Node = sealed.Component, sealed.Node
	return f
}
