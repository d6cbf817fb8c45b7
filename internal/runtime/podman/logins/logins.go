// Package logins reads the credentials for image registries that podman login and docker
// login have stored, and makes the headers with which podman's API gets them.
//
// Package podman imports it.
package logins

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

// DefaultFile returns the file with credentials that the environment sets for
// podman's own commands; "" for none.
func DefaultFile() string {
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return file
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	return ""
}

// authFiles returns the files in which podman login and docker login store
// credentials, in order of precedence. See containers-auth.json(5).
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

// The headers that hold credentials for image registries.
const (
	ForCopy  = "X-Registry-Auth"   // of a push and a pull
	ForBuild = "X-Registry-Config" // of a build
)

// Header returns a header, ForCopy or ForBuild, with the credentials in authFile, or in
// authFiles if that is ""; nil if there are none. A file that exists and cannot be read is
// an error of the kind Invalid.
func Header(authFile, header string) (http.Header, error) {
	files := []string{authFile}
	if authFile == "" {
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
		case errors.Is(err, fs.ErrNotExist), authFile == "" && errors.Is(err, fs.ErrPermission):
			continue // no login, or another user's
		case err != nil:
			return nil, fault.Wrap(fault.Invalid, err, "read the credentials in %s", file).
				WithHint("repair or remove that file of podman login or docker login on this host")
		}
		for registry, stored := range found {
			if _, ok := all[registry]; !ok {
				all[registry] = login{stored.Username, stored.Password, stored.IdentityToken}
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(all)
	return http.Header{header: {base64.URLEncoding.EncodeToString(text)}}, err
}

// readLogins reads a file that podman login or docker login wrote.
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
