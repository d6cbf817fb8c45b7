package dev

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What the platform writes into its directory, beside its parts' data.
const (
	configName  = "mcp.toml"
	urlName     = "postgres.url"
	infoName    = "dev.json"
	machineName = "machine" // what tells the node of this platform from others
	pidName     = "dev.pid"
	lockName    = "dev.lock"
	// settingsName outlives the platform, for its next start.
	settingsName = "settings.json"
	// LogName is the log of a platform in the background.
	LogName = "dev.log"
)

// writeConfig writes the mcp.toml that the CLI picks up. It names the builder
// and not its workspace: else the CLI would build by itself.
func (p *Platform) writeConfig() error {
	if err := writeFile(p.path(urlName), []byte(p.postgresURL+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the address of Postgres: %w", err)
	}
	host := p.info.ImageRegistry
	text := fmt.Sprintf(`# Written by mcp dev at each start.
services = %s

[build]
builder = %s
socket  = %s
logs    = %s

[image_registry]
insecure = [%s, %s]

[temporal]
address   = %s
namespace = "default"
ui        = %s

[postgres]
url_file = %s

[node]
name    = %s
socket  = %s
publish = %s
`, quote(p.options.Services), quote(Local), quote(p.info.Podman), quote(p.path(buildsDir)),
		quote(host), quote(strings.Replace(host, "127.0.0.1", "localhost", 1)),
		quote(p.info.Temporal), quote(p.info.UI), quote(p.path(urlName)),
		quote(Local), quote(p.info.Podman), quote(p.options.Publish))
	if err := writeFile(p.path(configName), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// quote writes a string as TOML does; JSON's strings are a part of TOML's.
func quote(s string) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(s) // a string always encodes
	return strings.TrimSpace(b.String())
}

// writeInfo notes that the platform is ready, and where everything is.
func (p *Platform) writeInfo() error {
	text, err := json.MarshalIndent(p.info, "", "  ")
	if err != nil {
		return fmt.Errorf("encode what is where: %w", err)
	}
	if err := writeFile(p.path(infoName), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write what is where: %w", err)
	}
	return nil
}

// ReadInfo says where the parts of the platform in dir are. It fails for one
// that is not ready.
func ReadInfo(dir string) (Info, error) {
	var info Info
	text, err := os.ReadFile(filepath.Join(dir, infoName))
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		return info, fmt.Errorf("read what is where: %w", err)
	}
	return info, nil
}

// writeFile replaces a file as a whole, so that nobody reads half of it, and
// makes sure of its mode.
func writeFile(path string, text []byte, mode os.FileMode) error {
	next := path + ".new"
	_ = os.Remove(next) // what a killed process left may have another mode
	if err := os.WriteFile(next, text, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}
