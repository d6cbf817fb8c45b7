package secret

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/secrets/keys"
	"github.com/metacircular/mcp/workflows/reads"
)

// desk is what an operator seals at: the connection, the signing key and the pinned keys.
type desk struct {
	*session.Session
	cfg    *config.Config
	client client.Client
	key    secrets.SigningKey
	pins   keys.Pins
	said   map[string]bool // what was said, to say it once
}

// once prints a message that may hold for several secrets only once.
func (d *desk) once(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.said[text] {
		return
	}
	if d.said == nil {
		d.said = map[string]bool{}
	}
	d.said[text] = true
	d.Say("%s", text)
}

// open connects, and reads the keys.
func open(ctx context.Context, s *session.Session) (*desk, error) {
	cfg, err := s.Config()
	if err != nil {
		return nil, err
	}
	d := &desk{Session: s, cfg: cfg}
	path, err := pinsFile(cfg)
	if err != nil {
		return nil, err
	}
	if d.pins, err = keys.ReadPins(path); err != nil {
		return nil, exit.Usage(err)
	}
	if d.key, err = keys.LoadSigning(cfg.Secrets.SigningKey); err != nil {
		return nil, exit.Usage(err)
	}
	d.client, err = s.Connect(ctx, cfg)
	return d, err
}

// openService is open, and reads what is recorded of the secrets of a service.
func openService(ctx context.Context, s *session.Session, service string) (*desk, reads.SecretsResult, error) {
	d, err := open(ctx, s)
	if err != nil {
		return nil, reads.SecretsResult{}, err
	}
	found, err := d.read(ctx, service)
	if err != nil {
		d.close()
		return nil, found, err
	}
	return d, found, nil
}

func (d *desk) close() { d.client.Close() }

// pinsFile returns the file of pinned keys.
func pinsFile(cfg *config.Config) (string, error) {
	path := cfg.PinsFile(keys.FileName)
	if path == "" {
		return "", exit.Usage(fault.New(fault.Invalid, "no place for the file of pinned keys, %s; this configuration is %s", keys.FileName, cfg.Describe()).
			WithHint("set services in mcp.toml: the file is beside that directory; or name it: [secrets] keys"))
	}
	return path, nil
}

// read reads what is recorded of the secrets of a service.
func (d *desk) read(ctx context.Context, service string) (reads.SecretsResult, error) {
	return recorded(ctx, d.Session, d.client, "secret", reads.SecretsInput{Service: service})
}
