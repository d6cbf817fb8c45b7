package dev

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
)

// settings are what a platform keeps of one start for the next, which may
// come from another directory and with fewer flags. The parts keep their ports
// themselves.
type settings struct {
	Workspace string `json:"workspace"`
	Services  string `json:"services"`
	Publish   string `json:"publish"`
	// Listen is the address of metrics and health.
	Listen string `json:"listen"`
	// Socket is that of a podman that was asked for; "" for whichever answers.
	Socket string `json:"socket,omitempty"`
}

// recall fills in what was left open with what held at the last start, or with
// a default.
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
	if o.listen = last.Listen; o.listen == "" {
		port, err := parts.FreePort()
		if err != nil {
			return err
		}
		o.listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return nil
}

// wantWorkspace checks that there is something to build from.
func (o *Options) wantWorkspace() error {
	if info, err := os.Stat(o.Workspace); err != nil || !info.IsDir() {
		return fault.New(fault.NotFound, "the workspace %s is no directory", o.Workspace).
			WithHint("name one with --workspace; it is remembered from start to start")
	}
	return nil
}

// writeSettings keeps what this start was told for the next.
func (p *Platform) writeSettings() error {
	o := p.options
	text, err := json.MarshalIndent(settings{Workspace: o.Workspace, Services: o.Services, Publish: o.Publish, Listen: o.listen, Socket: o.Socket}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the settings: %w", err)
	}
	if err := writeFile(p.path(settingsName), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}
