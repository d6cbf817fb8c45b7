package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Load reads the file at path, unless path is "", then the environment and the
// flags, and validates the result. Paths in the file are relative to its
// directory, other paths to the working directory.
func Load(path string, getenv func(string) string, flags ...func(*Config)) (*Config, error) {
	c := defaults(getenv)
	if path != "" {
		if err := c.readFile(path); err != nil {
			return nil, err
		}
	}
	if err := c.readEnvironment(); err != nil {
		return nil, err
	}
	c.recordChanges(FromFlag, func() {
		for _, flag := range flags {
			flag(c)
		}
	})
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	c.resolve(dir)
	if c.Build.Workspace != "" && c.Build.Builder == "" {
		c.Build.Builder = builderName(c.Build.Workspace)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find the configuration: %w", err)
	}
	c.file = path
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(c); err != nil {
		return locate(path, err)
	}
	c.recordFile(text)
	c.resolve(filepath.Dir(path))
	return nil
}

// locate adds the line and the key of each mistake in the file.
func locate(path string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var problems []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			problems = append(problems, fmt.Errorf("%s:%d: %s: unknown key%s", path, line, strings.Join(e.Key(), "."), validKeys(e.Key())))
		}
		return errors.Join(problems...)
	}
	var wrong *toml.DecodeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", path, err)
	}
	line, _ := wrong.Position()
	key := ""
	if len(wrong.Key()) > 0 {
		key = strings.Join(wrong.Key(), ".") + ": "
	}
	return fmt.Errorf("%s:%d: %s%s", path, line, key, plain(wrong.Error()))
}

// plain removes Go's names from a decoder's message: "cannot decode TOML string
// into struct field config.Ports.Low of type int".
func plain(message string) string {
	message = strings.TrimPrefix(message, "toml: ")
	if before, field, ok := strings.Cut(message, " into struct field "); ok {
		_, kind, _ := strings.Cut(field, " of type ")
		return before + " into " + kind
	}
	return message
}

// validKeys lists the valid keys of the table in which an unknown one was found.
func validKeys(unknown []string) string {
	table := ""
	if len(unknown) > 1 {
		table = strings.Join(unknown[:len(unknown)-1], ".") + "."
	}
	var valid []string
	for _, k := range keys(&Config{}) {
		if rest, ok := strings.CutPrefix(k.name, table); ok {
			name, _, _ := strings.Cut(rest, ".")
			if len(valid) == 0 || valid[len(valid)-1] != name {
				valid = append(valid, name)
			}
		}
	}
	if len(valid) == 0 {
		return ""
	}
	return "; valid keys are " + strings.Join(valid, ", ")
}

// resolve makes relative paths absolute, and turns the paths of sockets into URIs.
func (c *Config) resolve(dir string) {
	for _, path := range []*string{&c.Services, &c.Build.Workspace, &c.Build.Sources, &c.Build.Logs, &c.Build.SigningKeyFile, &c.Build.SigningPassphraseFile, &c.Node.Machine, &c.Node.Logs, &c.Node.Data, &c.Node.Keys, &c.Node.Policy, &c.Secrets.SigningKey, &c.Secrets.Keys, &c.ImageRegistry.AuthFile, &c.Postgres.URLFile, &c.Postgres.OwnerURLFile, &c.Alerts.SecretFile, &c.Temporal.EncryptionKeyFile, &c.Edge.Data, &c.Edge.ACME.Root, &c.Edge.ACME.DNSFile, &c.Door.Identity, &c.Gateway.KeyFile, &c.Gateway.Data} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	lists := [][]string{c.Edge.Certificates}
	for _, files := range c.ImageRegistry.RequireSignature {
		lists = append(lists, files)
	}
	for _, list := range lists {
		for i, path := range list {
			if path != "" && !filepath.IsAbs(path) {
				list[i] = filepath.Join(dir, path)
			}
		}
	}
	for _, socket := range []*string{&c.Build.Socket, &c.Node.Socket} {
		if *socket != "" && !strings.Contains(*socket, "://") {
			if !filepath.IsAbs(*socket) {
				*socket = filepath.Join(dir, *socket)
			}
			*socket = "unix://" + *socket
		}
	}
}
