package key

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
)

// options are those of every verb.
type options struct{ file string }

func (o *options) add(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&o.file, "file", "", "the file of keys (default: [temporal] encryption_key_file)")
	return cmd
}

// path returns the file that is given, or that of the configuration.
func (o *options) path(s *session.Session) (string, error) {
	if o.file != "" {
		return o.file, nil
	}
	cfg, err := s.Config()
	if err != nil {
		return "", err
	}
	if cfg.Temporal.EncryptionKeyFile == "" {
		return "", exit.Usage(errors.New("no file of keys: give --file, or set [temporal] encryption_key_file; this configuration is " + cfg.Describe()))
	}
	return cfg.Temporal.EncryptionKeyFile, nil
}
