package config

import (
	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/keyring"
)

// Codec returns what encrypts and decrypts with the keys of the configuration. It exists
// without keys, too: then it names the key that is missing.
func (c *Config) Codec() (*codec.Codec, error) {
	if c.codec != nil {
		return c.codec, nil
	}
	setting := "[temporal] encryption_key_file in mcp.toml; this configuration is " + c.Describe()
	if c.file != "" {
		setting = "[temporal] encryption_key_file in " + c.file
	}
	if c.Temporal.EncryptionKeyFile == "" {
		c.codec = codec.New(nil, setting)
		return c.codec, nil
	}
	keys, err := keyring.Open(c.Temporal.EncryptionKeyFile)
	if err != nil {
		return nil, err
	}
	c.codec = codec.New(keys, setting)
	return c.codec, nil
}
