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

// defaultKeychain looks where docker login and podman login put credentials.
// The last place is podman's where XDG_RUNTIME_DIR is not set, as for root.
var defaultKeychain = authn.NewMultiKeychain(
	authn.DefaultKeychain,
	authFile{path: fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid()), optional: true},
)

// authFile finds credentials in a file of docker's or podman's making. It is
// read for each question, so that a log-in counts at once.
type authFile struct {
	path string
	// optional says that the file may be missing.
	optional bool
}

// Resolve is part of authn.Keychain. Podman's files may name a part of a
// registry, "host/team", so the longest name that fits comes first.
func (a authFile) Resolve(target authn.Resource) (authn.Authenticator, error) {
	file, err := os.Open(a.path)
	// A directory of root's that others may not even look into, as
	// /run/containers is where only root runs podman, has nothing for them.
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
			continue // asked for a host, docker's code also finds podman's "host/other-team"
		}
		found.ServerAddress = "" // set even where nothing was found
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

// keys are the names that a repository's credentials may go by, the most
// particular first.
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
