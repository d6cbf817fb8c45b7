package secret

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets/keys"
)

// generated is mcp secret keygen --json.
type generated struct {
	Name        string `json:"name"`
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	// File has the private key, Pins the public one.
	File string `json:"file"`
	Pins string `json:"pins"`
}

func newKeygen(s *session.Session) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "keygen KEY-FILE",
		Short: "Make a recovery key, which can open every value that is set from then on",
		Long: `Keygen makes a key, writes its private half to a file that only you can read, and
its public half to mcp.keys.toml, under [recovery]. Every value that is set from
then on is sealed to it, too. With the file, mcp secret rekey seals the values of
a service to other nodes, when nodes are lost or new.

Keep the file where the nodes and their backups are not: in a password manager, or
on paper. The key is one of age (age-encryption.org), and age-keygen makes such
keys, too. Values that were set before are sealed to it when they are set again.`,
		Example: "  mcp secret keygen recovery.key",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return runKeygen(s, args[0], name) },
	}
	cmd.Flags().StringVar(&name, "name", "recovery", "the name of the key in mcp.keys.toml")
	return cmd
}

func runKeygen(s *session.Session, path, name string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	pins, err := pinsFile(cfg)
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	identity, err := seal.Create(path)
	if err != nil {
		return exit.Usage(err)
	}
	key := identity.Key()
	if err := keys.PinRecovery(pins, name, key); err != nil {
		_ = os.Remove(path) // nothing is sealed to it
		return exit.Usage(err)
	}
	if s.JSON {
		s.PrintJSON(generated{name, key.String(), key.Fingerprint(), path, pins})
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: the private key; keep it where the nodes are not\n%s: recovery.%s, %s\n", path, pins, name, key.Fingerprint())
	s.Say("values that are set from now on are sealed to it; set those again that are there already")
	return nil
}

// signer is mcp secret signer --json.
type signer struct {
	Signer string `json:"signer"`
	// File has the private key, and Line is for [node] in a node's mcp.toml.
	File string `json:"file"`
	Line string `json:"line"`
}

func newSigner(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "signer",
		Short: "Print the line by which a node takes the secrets that you sign",
		Long: `Signer prints a line for [node] in the mcp.toml of a node. A node opens only
values that are signed with a key which its own configuration lists: its public
key alone would let anyone seal a value to it. Where several operators set
secrets, the line has the key of each. Restart the node's worker after a change.`,
		Example: "  mcp secret signer",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := s.Config()
			if err != nil {
				return err
			}
			key, err := keys.LoadSigning(cfg.Secrets.SigningKey)
			if err != nil {
				return exit.Usage(err)
			}
			text := key.Signer().String()
			if s.JSON {
				s.PrintJSON(signer{text, cfg.Secrets.SigningKey, signersLine([]string{text})})
			} else {
				_, _ = fmt.Fprintln(s.Stdout, signersLine([]string{text}))
			}
			return nil
		},
	}
}
