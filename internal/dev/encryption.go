package dev

import (
	"errors"
	"io/fs"
	"os"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/keyring"
)

// openKeys opens the file of encryption keys, which it makes for a new platform.
func (p *Platform) openKeys() error {
	path := p.info.EncryptionKeyFile
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if _, _, err := keyring.Add(path, false); err != nil {
			return err
		}
	}
	keys, err := keyring.Open(path)
	if err != nil {
		return err
	}
	p.codec = codec.New(keys, "[temporal] encryption_key_file in "+p.info.Config)
	return nil
}

// Connection returns the options of a client that goes past the gateway, with the keys.
func (i Info) Connection() (client.Options, error) {
	o := config.Tuned(client.Options{HostPort: i.Temporal()})
	keys, err := keyring.Open(i.EncryptionKeyFile)
	if err != nil {
		return o, err
	}
	codec.New(keys, "the platform's").Install(&o)
	return o, nil
}
