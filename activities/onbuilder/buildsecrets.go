package onbuilder

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
)

// maxBuildSecret bounds a secret of a build, as podman bounds a container's.
const maxBuildSecret = 512 << 10

// secretsOf reads the secrets of a build. Path is the directory that relative files are
// relative to.
func (a *Builder) secretsOf(in BuildInput, path string) (map[string][]byte, error) {
	if len(in.Build.Secrets) == 0 {
		return nil, nil
	}
	values := map[string][]byte{}
	for _, id := range slices.Sorted(maps.Keys(in.Build.Secrets)) {
		source := in.Build.Secrets[id]
		if source.Secret != "" {
			value, err := a.unseal(in, source.Secret)
			if err != nil {
				return nil, err
			}
			values[id] = value
			continue
		}
		var text []byte
		var err error
		if source.Environment != "" {
			value, set := os.LookupEnv(source.Environment)
			if text = []byte(value); !set {
				err = fmt.Errorf("the variable %s is not set", source.Environment)
			}
		} else {
			text, err = a.secretFile(path, source.File)
		}
		if err == nil && len(text) > maxBuildSecret {
			err = fmt.Errorf("it has more than %d KiB", maxBuildSecret>>10)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "read the secret %s of %s on builder %s", id, in.Image, a.Name).
				WithHint("provide it on that builder, or correct secrets in [build.images] of service %s", in.Service)
		}
		values[id] = text
	}
	return values, nil
}

// unseal opens the envelope of one of the service's own secrets. The value is only in
// memory until podman has it.
func (a *Builder) unseal(in BuildInput, reference string) ([]byte, error) {
	version := in.Versions[reference]
	want := secrets.Ref{Service: in.Service, Name: version.Name, Version: version.Version}
	i := slices.IndexFunc(in.Envelopes, func(e secrets.Envelope) bool { return e.Ref == want })
	if i < 0 {
		return nil, fault.New(fault.Invalid, "the secret %s has not come with the build of %s", reference, in.Image).
			WithHint("upgrade the control worker: it is older than this builder")
	}
	reader, err := a.reader()
	if err != nil {
		return nil, err
	}
	return reader.Open(want, in.Envelopes[i])
}

func (a *Builder) reader() (secrets.Reader, error) {
	if a.Secrets == nil {
		return secrets.Reader{Node: a.Name, Builder: true}, nil
	}
	return a.Secrets()
}

// BuilderKeyResult describes the recipient of the sealed secrets of builds.
type BuilderKeyResult struct {
	Name string `json:"name"`
	// Key is the builder's; "" if it has none, and Problem says why.
	Key     string `json:"key,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Signers are those whose secrets it takes.
	Signers []string `json:"signers,omitempty"`
}

// BuilderKey returns the key of the builder, which is made if there is none.
func (a *Builder) BuilderKey(context.Context) (BuilderKeyResult, error) {
	reader, err := a.reader()
	if err != nil {
		return BuilderKeyResult{Name: a.Name, Problem: fault.Of(err).Message}, nil
	}
	result := BuilderKeyResult{Name: a.Name}
	if reader.Identity != nil {
		result.Key = reader.Identity.Key().String()
	}
	for _, signer := range reader.Signers {
		result.Signers = append(result.Signers, signer.String())
	}
	return result, nil
}

// secretFile reads a file with a secret. A relative one must be in the workspace.
func (a *Builder) secretFile(path, name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		root, err := filepath.EvalSymlinks(a.Workspace)
		if err != nil {
			return nil, err
		}
		relative, err := filepath.Rel(root, filepath.Join(path, name))
		if err != nil {
			return nil, err
		}
		if name, err = within(root, relative); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxBuildSecret+1))
}
