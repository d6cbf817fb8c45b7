package dev

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/secrets/keys"
)

// writeConfig writes the mcp.toml that the CLI finds. It names the builder but
// only its sources: given a workspace, the CLI would build images itself.
func (p *Platform) writeConfig() error {
	if err := writeFile(p.path(urlName), []byte(p.postgresURL+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the address of Postgres: %w", err)
	}
	host := p.info.ImageRegistry
	text := fmt.Sprintf(`# Written by mcp dev at each start.
services = %s

[build]
builder = %s
sources = %s
socket  = %s
logs    = %s

[image_registry]
insecure = [%s, %s]

[door]
addresses = [%s]
identity  = %s

[temporal]
namespace = "default"
ui        = %s
encryption_key_file = %s

[gateway]
listen   = %s
key_file = %s
data     = %s

[postgres]
url_file = %s

[secrets]
signing_key = %s
keys        = %s

[node]
name    = %s
socket  = %s
publish = %s
logs    = %s
data    = %s
keys    = %s
signers = [%s]
policy  = %s
`, quote(p.options.Services), quote(Local), quote(p.options.Workspace), quote(p.info.Podman), quote(p.path(buildsDir)),
		quote(host), quote(strings.Replace(host, "127.0.0.1", "localhost", 1)),
		quote(p.info.Gateway.Address), quote(string(p.identityOf(identity.Operator))),
		quote(p.info.UI), quote(p.info.EncryptionKeyFile),
		quote(p.info.Gateway.Address), quote(p.gatewayKey()), quote(p.path(gatewayDir)), quote(p.path(urlName)),
		quote(p.signingKey()), quote(p.path(filepath.Join(keysDir, keys.FileName))),
		quote(Local), quote(p.info.Podman), quote(p.options.Publish), quote(p.path(tasksDir)), quote(p.path(nodeDir)),
		quote(p.path(keysDir)), quote(p.signer), quote(p.path(policyName)))
	if err := writeFile(p.path(configName), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if p.edge == "" {
		return nil
	}
	if err := writeFile(p.edgeConfig(), []byte(p.edgeText()), 0o600); err != nil {
		return fmt.Errorf("write the configuration of the edge: %w", err)
	}
	return nil
}

// signingKey is the file of the key that signs secrets of this platform, and is removed with
// it.
func (p *Platform) signingKey() string { return p.path(filepath.Join(keysDir, "signing.key")) }

// loadSigner makes the key that signs secrets, if it is missing, and the directory of keys.
func (p *Platform) loadSigner() error {
	key, err := keys.LoadSigning(p.signingKey())
	if err != nil {
		return err
	}
	p.signer = key.Signer().String()
	return nil
}

// edgeConfig is the file with the configuration of the edge, which has an identity of its
// own.
func (p *Platform) edgeConfig() string { return p.path(filepath.Join(edgeDir, configName)) }

// edgeText is the configuration of the edge. Its own authority signs for every hostname: a
// public one could not reach it.
func (p *Platform) edgeText() string {
	return fmt.Sprintf(`# Written by mcp dev at each start.
[door]
addresses = [%s]
identity  = %s

[temporal]
namespace = "default"

[node]
machine = %s

[edge]
name    = %s
data    = %s
listen  = "127.0.0.1"
metrics = %s
ports   = {80 = %d, 443 = %d}
acme    = {directory = "off"}
`, quote(p.info.Gateway.Address), quote(string(p.identityOf(identity.Edge))),
		quote(p.path(machineName)), quote(Local), quote(p.path(edgeDir)),
		quote(fmt.Sprintf("127.0.0.1:%d", p.edgePorts.Metrics)), p.edgePorts.HTTP, p.edgePorts.HTTPS)
}

// quote returns s as a TOML string; every JSON string is one.
func quote(s string) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(s) // a string always encodes
	return strings.TrimSpace(b.String())
}

// writeInfo records that the platform is ready, and its addresses.
func (p *Platform) writeInfo() error {
	text, err := json.MarshalIndent(p.info, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the platform's addresses: %w", err)
	}
	if err := writeFile(p.path(infoName), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the platform's addresses: %w", err)
	}
	return nil
}

// ReadInfo reads the addresses of the platform in dir. It fails if the platform
// is not ready.
func ReadInfo(dir string) (Info, error) {
	var info Info
	text, err := os.ReadFile(filepath.Join(dir, infoName))
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		return info, fmt.Errorf("read the platform's addresses: %w", err)
	}
	return info, nil
}

// writeFile replaces a file atomically, so that no reader sees half of it, and
// sets its mode.
func writeFile(path string, text []byte, mode os.FileMode) error {
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer func() { _ = file.Cleanup() }()
	if _, err := file.Write(text); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}
