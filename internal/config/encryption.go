package config

import (
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/codec"
	"github.com/metacircular/mcp/internal/keyring"
)

// Codec returns the codec that encrypts and decrypts with the keys of the configuration.
// It exists without keys, too: then it names the key that is missing.
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

// Encryption returns the codec of a client with TemporalOptions. Behind a gateway it
// encrypts nothing: the gateway has the keys, and the file is not read.
func (c *Config) Encryption() (*codec.Codec, error) {
	options, err := c.connection()
	if err != nil {
		return nil, err
	}
	return c.encryptionOf(options)
}

func (c *Config) encryptionOf(options client.Options) (*codec.Codec, error) {
	if !ThroughDoor(options) {
		return c.Codec()
	}
	if c.behind == nil {
		c.behind = codec.Behind()
	}
	return c.behind, nil
}
