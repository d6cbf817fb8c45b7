package activities

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
)

// maxBuildSecret bounds a secret of a build, as podman bounds a container's.
const maxBuildSecret = 512 << 10

// secrets reads the secrets of a build. Path is the directory that relative files are
// relative to.
func (a *Builder) secrets(in BuildInput, path string) (map[string][]byte, error) {
	if len(in.Build.Secrets) == 0 {
		return nil, nil
	}
	secrets := map[string][]byte{}
	for _, id := range slices.Sorted(maps.Keys(in.Build.Secrets)) {
		source := in.Build.Secrets[id]
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
		secrets[id] = text
	}
	return secrets, nil
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
