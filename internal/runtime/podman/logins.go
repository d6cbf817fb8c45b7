package podman

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"

	"github.com/metacircular/mcp/internal/fault"
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

// authFiles are where podman login and docker login put credentials, the first
// one to be asked first. See containers-auth.json(5).
func authFiles() []string {
	runtimeDir, home := os.Getenv("XDG_RUNTIME_DIR"), os.Getenv("HOME")
	if runtimeDir == "" {
		runtimeDir = fmt.Sprintf("/run/containers/%d", os.Getuid())
	} else {
		runtimeDir = filepath.Join(runtimeDir, "containers")
	}
	files := []string{filepath.Join(runtimeDir, "auth.json")}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	if home != "" {
		files = append(files, filepath.Join(home, ".docker", "config.json"))
	}
	return files
}

// The headers in which podman takes credentials for image registries.
const (
	copyLogins  = "X-Registry-Auth"   // of a push and a pull
	buildLogins = "X-Registry-Config" // of a build
)

// logins is a header with the credentials that are known; nil without any.
func (e *Engine) logins(header string) (http.Header, error) {
	files := []string{e.authFile}
	if e.authFile == "" {
		files = authFiles()
	}
	type login struct {
		Username      string `json:"username,omitempty"`
		Password      string `json:"password,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
	}
	all := make(map[string]login)
	for _, file := range files {
		found, err := readLogins(file)
		switch {
		case errors.Is(err, fs.ErrNotExist), e.authFile == "" && errors.Is(err, fs.ErrPermission):
			continue // nobody has logged in, or somebody else has
		case err != nil:
			return nil, fault.Wrap(fault.Invalid, err, "read the credentials in %s", file).
				WithHint("mend or remove that file on this host: podman login or docker login wrote it")
		}
		for registry, known := range found {
			if _, ok := all[registry]; !ok {
				all[registry] = login{known.Username, known.Password, known.IdentityToken}
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(all)
	return http.Header{header: {base64.URLEncoding.EncodeToString(text)}}, err
}

// readLogins reads a file of podman's or docker's making.
func readLogins(file string) (map[string]types.AuthConfig, error) {
	text, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	stored, err := config.LoadFromReader(text)
	if err != nil {
		return nil, err
	}
	return stored.GetAllCredentials()
}
