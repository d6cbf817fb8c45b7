package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// DevDir is the default directory of the local platform.
const DevDir = ".mcp-dev"

// fileName is the name of the configuration in each directory that is searched.
const fileName = "mcp.toml"

// Find returns the configuration file to use: the flag's, $MCP_CONFIG,
// .mcp-dev/mcp.toml in cwd or its nearest parent that has one, the user's, or the
// machine's. It returns "" if there is none; a file that the flag or the variable
// names must exist. One that is found by its place is an error unless it belongs to the
// caller or to root and no other user may write to it.
func Find(flag string, getenv func(string) string, cwd string) (string, error) {
	if flag != "" {
		return named(flag, cwd, "--config")
	}
	if path := getenv("MCP_CONFIG"); path != "" {
		return named(path, cwd, "$MCP_CONFIG")
	}
	for dir := cwd; ; dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, DevDir, fileName); isFile(path) {
			return path, trusted(path)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for _, path := range []string{userFile(getenv), machineFile} {
		if path != "" && isFile(path) {
			return path, trusted(path)
		}
	}
	return "", nil
}

func named(path, cwd, source string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(cwd, path)
	}
	info, err := os.Stat(path)
	if err == nil {
		err = closed(path, info)
	}
	if err != nil {
		return "", fmt.Errorf("find the configuration that %s names: %w", source, err)
	}
	return path, nil
}

// searched lists the places that Find searches.
func searched(getenv func(string) string) string {
	places := []string{filepath.Join(DevDir, fileName) + " here or in a parent folder"}
	if path := userFile(getenv); path != "" {
		places = append(places, path)
	}
	places = append(places, machineFile)
	return strings.Join(places, ", no ") + ", and neither --config nor MCP_CONFIG names one"
}

// UserFile returns the user's configuration file; "" without a home directory.
func UserFile(getenv func(string) string) string { return userFile(getenv) }

const machineFile = "/etc/mcp/" + fileName

// userFile returns the user's configuration file; "" without a home directory.
func userFile(getenv func(string) string) string {
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "mcp", fileName)
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "mcp", fileName)
	}
	return ""
}

// userDir returns the path of a file beside the user's configuration file or, without a home
// directory, beside the machine's.
func userDir(getenv func(string) string, name string) string {
	return filepath.Join(filepath.Dir(cmp.Or(userFile(getenv), machineFile)), name)
}

// NodeKey returns the file of the private key of a node that this process serves: several
// nodes of one machine have several keys.
func (c *Config) NodeKey(node string) string { return filepath.Join(c.keysDir(), "node-"+node) }

// BuilderKey returns the file of the private key of a builder on this machine.
func (c *Config) BuilderKey(builder string) string {
	return filepath.Join(c.keysDir(), "builder-"+builder)
}

func (c *Config) keysDir() string {
	return cmp.Or(c.Node.Keys, filepath.Join(filepath.Dir(cmp.Or(c.Node.Data, stateDir(c.getenv, "node"))), "keys"))
}

// PinsFile returns the file of pinned keys with that name: the one that is configured, or the
// one beside the services directory, or in the sources; "" if none of these is set.
func (c *Config) PinsFile(name string) string {
	switch {
	case c.Secrets.Keys != "":
		return c.Secrets.Keys
	case c.Services != "":
		return filepath.Join(filepath.Dir(c.Services), name)
	case c.Build.SourceDir() != "":
		return filepath.Join(c.Build.SourceDir(), name)
	}
	return ""
}

// StateDir returns a directory of the user or, without a home directory, of the machine, for
// data that outlives a reboot.
func StateDir(getenv func(string) string, name string) string { return stateDir(getenv, name) }

// stateDir returns a directory for data that outlives a reboot.
func stateDir(getenv func(string) string, name string) string {
	if dir := getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "mcp", name)
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "mcp", name)
	}
	return filepath.Join("/var/lib/mcp", name)
}

// podmanSocket returns the socket that podman's own tools use.
func podmanSocket(getenv func(string) string) string { return podmanSocketOf(getenv, os.Geteuid()) }

// podmanSocketOf is podmanSocket for a user.
func podmanSocketOf(getenv func(string) string, uid int) string {
	if host := getenv("CONTAINER_HOST"); strings.HasPrefix(host, "unix://") {
		return host
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" && uid != 0 {
		return "unix://" + filepath.Join(dir, "podman", "podman.sock")
	}
	return "unix:///run/podman/podman.sock"
}

// builderName returns the default name of a workspace's builder on this host.
func builderName(workspace string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	label := strings.Trim(strings.Map(labelRune, host[:min(len(host), 50)]), "-")
	return strings.TrimPrefix(fmt.Sprintf("%s-%x", label, sha256.Sum256([]byte(workspace)))[:len(label)+7], "-")
}

// labelRune replaces characters that are not allowed in a DNS label.
func labelRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
