package runtime

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
)

type fakeSecret struct {
	labels map[string]string
	value  []byte
}

// AddSecret adds a secret to the engine, as an operator does.
func (f *Fake) AddSecret(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets[name] = fakeSecret{value: []byte("hush")}
}

// SecretValue returns the value of a secret; nil if there is none of that name.
func (f *Fake) SecretValue(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.secrets[name].value)
}

// Secrets describes the secrets, sorted by name.
func (f *Fake) Secrets(ctx context.Context) ([]SecretInfo, error) {
	if err := f.enter(ctx, "Secrets", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	infos := make([]SecretInfo, 0, len(f.secrets))
	for _, name := range slices.Sorted(maps.Keys(f.secrets)) {
		infos = append(infos, SecretInfo{Name: name, Labels: Own(f.secrets[name].labels)})
	}
	return infos, nil
}

// CreateSecret adds a secret, unless an earlier call did.
func (f *Fake) CreateSecret(ctx context.Context, spec SecretSpec) error {
	if err := f.enter(ctx, "CreateSecret", spec.Name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if kept, found := f.secrets[spec.Name]; found {
		if maps.Equal(kept.labels, spec.Labels) {
			return nil
		}
		return fault.New(fault.Conflict, "create secret %s: a secret with that name exists, and is another one", spec.Name)
	}
	if size := len(spec.Value); size == 0 || size > MaxSecret {
		return fault.New(fault.Invalid, "create secret %s: it has %d bytes", spec.Name, size)
	}
	if len(spec.Name) > MaxSecretName {
		return fault.New(fault.Invalid, "create secret %s: the name is too long", spec.Name)
	}
	f.secrets[spec.Name] = fakeSecret{labels: maps.Clone(spec.Labels), value: bytes.Clone(spec.Value)}
	return nil
}

// RemoveSecret removes a secret.
func (f *Fake) RemoveSecret(ctx context.Context, name string) error {
	if err := f.enter(ctx, "RemoveSecret", name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.secrets, name)
	return nil
}

// hasSecret returns a MissingError unless there is a secret of that name. The caller holds
// the lock.
func (f *Fake) hasSecret(name string) error {
	if _, found := f.secrets[name]; found {
		return nil
	}
	return &MissingError{What: MissingSecret, Name: name, Err: fmt.Errorf("no secret with name %q", name)}
}
