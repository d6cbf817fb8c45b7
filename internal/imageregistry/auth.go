package imageregistry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// defaultKeychain reads the files of docker login and podman login. The last one
// is podman's if XDG_RUNTIME_DIR is not set, as for root.
var defaultKeychain = authn.NewMultiKeychain(
	authn.DefaultKeychain,
	authFile{path: fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid()), optional: true},
)

// authFile finds credentials in a file that docker or podman wrote. It reads the
// file for each request, so that a new login takes effect at once.
type authFile struct {
	path string
	// optional allows the file to be missing.
	optional bool
}

// Resolve implements authn.Keychain. Podman's files may name a part of a
// registry, "host/team", so the longest matching name takes precedence.
func (a authFile) Resolve(target authn.Resource) (authn.Authenticator, error) {
	file, err := os.Open(a.path)
	// Where only root runs podman, other users may not search /run/containers,
	// which holds no credentials for them.
	if a.optional && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return authn.Anonymous, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stored, err := config.LoadFromReader(file)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", a.path, err)
	}
	for _, key := range keys(target) {
		found, err := stored.GetAuthConfig(key)
		if err != nil {
			return nil, fmt.Errorf("find %s in %s: %w", key, a.path, err)
		}
		if strings.Contains(found.ServerAddress, "/") && !strings.Contains(found.ServerAddress, "://") && found.ServerAddress != key {
			continue // given a host, docker's code also finds podman's "host/other-team"
		}
		found.ServerAddress = "" // set even if nothing was found
		if found != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username:      found.Username,
				Password:      found.Password,
				Auth:          found.Auth,
				IdentityToken: found.IdentityToken,
				RegistryToken: found.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}

// keys returns the names under which a repository's credentials may be stored,
// the most specific first.
func keys(target authn.Resource) []string {
	var found []string
	for key := target.String(); key != ""; {
		found = append(found, key)
		end := max(0, strings.LastIndex(key, "/"))
		key = key[:end]
	}
	if target.RegistryStr() == name.DefaultRegistry {
		found = append(found, authn.DefaultAuthKey, "docker.io")
	}
	return found
}
