package dev

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
)

// settings are what a platform saves at one start for the next, which may run
// in another directory and with fewer flags. The parts record their ports
// themselves.
type settings struct {
	Workspace string `json:"workspace"`
	Services  string `json:"services"`
	Publish   string `json:"publish"`
	// Listen is the address of metrics and health.
	Listen string `json:"listen"`
	// Codec is the address of the codec endpoint.
	Codec string `json:"codec"`
	// Socket is that of a podman that was requested; "" means any that answers.
	Socket string `json:"socket,omitempty"`
}

// complete sets the options that are unset and creates the directory.
func (o *Options) complete() error {
	if o.Programs == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		o.Programs = filepath.Dir(self)
	}
	if err := CheckDir(o.Dir); err != nil {
		return err
	}
	if err := o.recall(); err != nil {
		return err
	}
	for _, path := range []*string{&o.Dir, &o.Workspace, &o.Services, &o.Programs} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = absolute
	}
	if err := o.wantWorkspace(); err != nil {
		return err
	}
	for _, logger := range []**slog.Logger{&o.Logger, &o.SDKLogger} {
		if *logger == nil {
			*logger = slog.Default()
		}
	}
	// Every user may enter: Postgres, started by root, runs as another user.
	// The secrets in here have stricter modes.
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("create the platform's directory: %w", err)
	}
	return nil
}

// recall sets the options that are unset to those of the last start, or to
// defaults.
func (o *Options) recall() error {
	var last settings
	text, err := os.ReadFile(filepath.Join(o.Dir, settingsName))
	if err == nil {
		err = json.Unmarshal(text, &last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the settings of the last start: %w", err)
	}
	o.Workspace = cmp.Or(o.Workspace, last.Workspace, ".")
	o.Services = cmp.Or(o.Services, last.Services, "services")
	o.Publish = cmp.Or(o.Publish, last.Publish, "127.0.0.1")
	o.Socket = cmp.Or(o.Socket, last.Socket)
	o.listen, o.codec = last.Listen, last.Codec
	for _, address := range []*string{&o.listen, &o.codec} {
		if *address != "" {
			continue
		}
		port, err := parts.FreePort()
		if err != nil {
			return err
		}
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return nil
}

// wantWorkspace reports an error if there is no directory to build from.
func (o *Options) wantWorkspace() error {
	if info, err := os.Stat(o.Workspace); err != nil || !info.IsDir() {
		return fault.New(fault.NotFound, "the workspace %s is not a directory", o.Workspace).
			WithHint("name one with --workspace; later starts remember it")
	}
	return nil
}

// writeSettings saves the settings of this start for the next.
func (p *Platform) writeSettings() error {
	o := p.options
	text, err := json.MarshalIndent(settings{Workspace: o.Workspace, Services: o.Services, Publish: o.Publish, Listen: o.listen, Codec: o.codec, Socket: o.Socket}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the settings: %w", err)
	}
	if err := writeFile(p.path(settingsName), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}
