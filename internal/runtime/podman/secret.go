package podman

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// secretDriver is the driver of the secrets that mcp creates, whatever the default of the
// host: its options hold labels.
const secretDriver = "file"

// keptSecret is podman's description of a secret, with the fields that are used.
type keptSecret struct {
	ID   string
	Spec struct {
		Name   string
		Labels map[string]string
		Driver struct {
			Name    string
			Options map[string]string
		}
	}
}

// labels returns mcp's labels of a secret. Podman before 4.4 reports none, and every
// version reports the options of the driver, which ignores those that it does not know.
func (s keptSecret) labels() map[string]string {
	labels := runtime.Own(s.Spec.Driver.Options)
	maps.Copy(labels, runtime.Own(s.Spec.Labels))
	return labels
}

// Secrets describes podman's secrets.
func (e *Engine) Secrets(ctx context.Context) ([]runtime.SecretInfo, error) {
	kept, err := e.secrets(ctx)
	if err != nil {
		return nil, e.translate(ctx, err, "list secrets")
	}
	infos := make([]runtime.SecretInfo, 0, len(kept))
	for _, s := range kept {
		infos = append(infos, runtime.SecretInfo{Name: s.Spec.Name, Labels: s.labels()})
	}
	return infos, nil
}

// secrets lists podman's secrets in the order of their names.
func (e *Engine) secrets(ctx context.Context) ([]keptSecret, error) {
	var kept []keptSecret
	if err := e.ask(ctx, get("/secrets/json"), &kept); err != nil {
		return nil, err
	}
	slices.SortFunc(kept, func(a, b keptSecret) int { return cmp.Compare(a.Spec.Name, b.Spec.Name) })
	return kept, nil
}

// CreateSecret creates a secret, unless an earlier call did.
func (e *Engine) CreateSecret(ctx context.Context, spec runtime.SecretSpec) error {
	if found, err := e.sameSecret(ctx, spec); found || err != nil {
		return err
	}
	labels, err := json.Marshal(spec.Labels)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "create secret %s", spec.Name)
	}
	create := post("/secrets/create").sending(bytes.NewReader(spec.Value)).with(url.Values{
		"name": {spec.Name}, "driver": {secretDriver}, "driveropts": {string(labels)}, "labels": {string(labels)},
	})
	// Podman parses any other body as a form, and finds nothing in it.
	create.header = http.Header{"Content-Type": {"application/octet-stream"}}
	cause := e.ask(ctx, create, nil)
	if cause == nil {
		return nil
	}
	if causesOf(cause).has(secretTaken) { // by another call, since the list
		found, err := e.sameSecret(ctx, spec)
		if found || err != nil {
			return err
		}
	}
	return e.translate(ctx, cause, "create secret %s", spec.Name)
}

// sameSecret reports whether podman has the secret. One of that name with other labels is
// a Conflict.
func (e *Engine) sameSecret(ctx context.Context, spec runtime.SecretSpec) (bool, error) {
	kept, err := e.secrets(ctx)
	if err != nil {
		return false, e.translate(ctx, err, "create secret %s", spec.Name)
	}
	i := slices.IndexFunc(kept, func(s keptSecret) bool { return s.Spec.Name == spec.Name })
	switch {
	case i < 0:
		return false, nil
	case maps.Equal(kept[i].labels(), spec.Labels):
		return true, nil
	}
	return false, fault.New(fault.Conflict, "create secret %s: a secret with that name exists, and is another one", spec.Name)
}

// RemoveSecret removes a secret by its id: podman would take its name for the beginning of
// another one's id.
func (e *Engine) RemoveSecret(ctx context.Context, name string) error {
	kept, err := e.secrets(ctx)
	if err != nil {
		return e.translate(ctx, err, "remove secret %s", name)
	}
	for _, s := range kept {
		if s.Spec.Name != name {
			continue
		}
		if err := e.ask(ctx, del("/secrets/%s", s.ID), nil); err != nil && !causesOf(err).has(noSecret) {
			return e.translate(ctx, err, "remove secret %s", name)
		}
	}
	return nil
}
