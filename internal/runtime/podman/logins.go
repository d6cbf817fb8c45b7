package podman

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
)

// defaultAuthFile is the file that podman's own commands take credentials from
// when the environment names one.
func defaultAuthFile() string {
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return file
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	return ""
}

// The headers in which podman takes credentials for image registries.
const (
	copyLogins  = "X-Registry-Auth"   // of a push and a pull
	buildLogins = "X-Registry-Config" // of a build
)

// logins is a header with the credentials that are known; nil without any.
func (e *Engine) logins(header string) (http.Header, error) {
	found, err := config.GetAllCredentials(&types.SystemContext{AuthFilePath: e.authFile})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	type login struct {
		Username      string `json:"username,omitempty"`
		Password      string `json:"password,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
	}
	all := make(map[string]login, len(found))
	for registry, known := range found {
		all[registry] = login{known.Username, known.Password, known.IdentityToken}
	}
	text, err := json.Marshal(all)
	return http.Header{header: {base64.URLEncoding.EncodeToString(text)}}, err
}
