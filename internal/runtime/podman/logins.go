package podman

import (
	"os"
	"path/filepath"

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

// authFiles says where the credentials for image registries are.
func (e *Engine) authFiles() *types.SystemContext {
	return &types.SystemContext{AuthFilePath: e.authFile}
}
