package oncontrol

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
)

// AddSecret records a version of a secret. It opens nothing: it refuses what is not an
// envelope, or is not signed by the signer that it names.
func (a *Control) AddSecret(ctx context.Context, in secrets.Addition) error {
	if err := in.Envelope.Check(); err != nil {
		return err
	}
	if len(in.Mark) != secrets.MarkSize {
		return fault.New(fault.Invalid, "%s: the mark of the value has %d bytes, not %d", in.Envelope.Ref, len(in.Mark), secrets.MarkSize)
	}
	in.Who, in.From = fleet.Text(in.Who, maxIdentity), fleet.Text(in.From, maxIdentity)
	return a.Registry.AddSecret(ctx, in)
}

// maxIdentity bounds the name of an operator and of a host, in bytes.
const maxIdentity = 255

// ListSecretsInput selects secrets.
type ListSecretsInput struct {
	// Service selects one; "" means all, with only their newest versions.
	Service string `json:"service,omitempty"`
	// Page asks for only the newest versions, and how many are kept.
	Page bool `json:"page,omitempty"`
	// After is the last version of the previous page; zero for the first page.
	After secrets.Ref `json:"after,omitzero"`
}

// ListSecretsResult has a page of secrets by service and name. If all versions were asked
// for, each is a secret of its own, with only that version; the newest comes first.
type ListSecretsResult struct {
	Secrets []secrets.Secret `json:"secrets"`
	// More is set if others follow the page.
	More bool `json:"more,omitempty"`
}

// A page of secrets has at most so many, and so many bytes as JSON: a large fleet seals each
// to many recipients, and Temporal bounds an answer, in which the first page comes with a
// definition and all nodes.
const (
	secretPage      = 500
	secretPageBytes = 512 << 10
)

// ListSecrets reads a page of what is recorded of secrets, without their values.
func (a *Control) ListSecrets(ctx context.Context, in ListSecretsInput) (ListSecretsResult, error) {
	var found []secrets.Secret
	var err error
	if in.Page || in.Service == "" {
		found, err = a.Registry.SecretPage(ctx, in.Service, in.After, secretPage+1)
	} else {
		found, err = a.Registry.SecretVersions(ctx, in.Service, in.After, secretPage+1)
	}
	if err != nil {
		return ListSecretsResult{}, err
	}
	fits := fitting(found[:min(len(found), secretPage)], secretPageBytes)
	return ListSecretsResult{Secrets: found[:fits], More: len(found) > fits}, nil
}

// fitting returns how many of the first values fit into limit bytes as JSON; at least one,
// if there is any.
func fitting[T any](values []T, limit int) int {
	size := 0
	for i, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			return max(i, 1) // which the encoding of the answer reports
		}
		if size += len(text) + 1; size > limit {
			return max(i, 1)
		}
	}
	return len(values)
}

// LoadEnvelopesInput names versions of secrets.
type LoadEnvelopesInput struct {
	Refs []secrets.Ref `json:"refs"`
}

// LoadEnvelopesResult has their envelopes, in the same order.
type LoadEnvelopesResult struct {
	Envelopes []secrets.Envelope `json:"envelopes"`
}

// LoadEnvelopes reads sealed values. The error is NotFound if one is not kept.
func (a *Control) LoadEnvelopes(ctx context.Context, in LoadEnvelopesInput) (LoadEnvelopesResult, error) {
	envelopes, err := a.Registry.Envelopes(ctx, in.Refs)
	return LoadEnvelopesResult{Envelopes: envelopes}, err
}

// LoadBuildSecretsInput names secrets of a service as a build does.
type LoadBuildSecretsInput struct {
	Service string `json:"service"`
	// Names are what a secret can be called in the service, by what the build calls it.
	Names map[string][]string `json:"names"`
}

// LoadBuildSecretsResult has the newest versions of the secrets, by what the build calls
// them, and their envelopes.
type LoadBuildSecretsResult struct {
	Versions  servicedef.SecretVersions `json:"versions"`
	Envelopes []secrets.Envelope        `json:"envelopes"`
}

// LoadBuildSecrets reads the newest sealed values of secrets. The error is NotFound if one
// was never set, or is not kept.
func (a *Control) LoadBuildSecrets(ctx context.Context, in LoadBuildSecretsInput) (LoadBuildSecretsResult, error) {
	result := LoadBuildSecretsResult{Versions: servicedef.SecretVersions{}}
	newest, err := a.Registry.NewestSecrets(ctx, in.Service)
	if err != nil {
		return result, err
	}
	var refs []secrets.Ref
	for _, reference := range slices.Sorted(maps.Keys(in.Names)) {
		var ref secrets.Ref
		for _, name := range in.Names[reference] {
			if version, isSet := newest[name]; isSet {
				ref = secrets.Ref{Service: in.Service, Name: name, Version: version}
				break
			}
		}
		if ref.Name == "" {
			return result, UnsetBuildSecret(in.Service, reference)
		}
		result.Versions[reference] = servicedef.SecretVersion{Name: ref.Name, Version: ref.Version}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	result.Envelopes, err = a.Registry.Envelopes(ctx, refs)
	return result, err
}

// UnsetBuildSecret is the fault of a build that needs a secret which the service does not
// have. A build names it as reference.
func UnsetBuildSecret(service, reference string) *fault.Error {
	return fault.New(fault.NotFound, "a build needs the secret %s/%s, which is not set", service, reference).
		WithHint("set it: mcp secret set %s/%s", service, reference)
}

// RemoveSecretInput names a secret.
type RemoveSecretInput struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Who     string `json:"who,omitempty"`
	From    string `json:"from,omitempty"`
}

// RemoveSecretResult is how many versions were removed.
type RemoveSecretResult struct {
	Versions int `json:"versions"`
}

// RemoveSecret deletes all versions of a secret that the release does not use.
func (a *Control) RemoveSecret(ctx context.Context, in RemoveSecretInput) (RemoveSecretResult, error) {
	if err := secrets.CheckName(in.Service, in.Name); err != nil {
		return RemoveSecretResult{}, err
	}
	versions, err := a.Registry.RemoveSecret(ctx, in.Service, in.Name, func(release fleet.Release) error { return unused(release, in.Name) })
	return RemoveSecretResult{Versions: versions}, err
}

// unused returns a Conflict if the release of a service uses a secret.
func unused(release fleet.Release, name string) error {
	if !release.Active || release.Definition == nil {
		return nil
	}
	for _, user := range servicedef.SecretUsers(*release.Definition) {
		if slices.Contains(user.Secrets, name) {
			return fault.New(fault.Conflict, "%s/%s is used by %s in release %d", release.Service, name, user.Component, release.Number).
				WithHint("take it out of the definition and deploy that first: mcp deploy %s", release.Service)
		}
	}
	return nil
}

// WithdrawSecretInput names the newest version of a secret.
type WithdrawSecretInput struct {
	Ref secrets.Ref `json:"ref"`
}

// WithdrawSecret deletes the newest version of a secret, so that the one before it is the
// newest. One that is not the newest, or that the release has, stays.
func (a *Control) WithdrawSecret(ctx context.Context, in WithdrawSecretInput) error {
	return a.Registry.WithdrawSecret(ctx, in.Ref)
}
