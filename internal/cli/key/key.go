package key

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/keyring"
)

// Command returns mcp key with its verbs.
func Command(s *session.Session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "Make and roll the encryption keys of the fleet",
		Args: session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNew(s), newList(s), newPromote(s), newRemove(s), newForget(s))
	return cmd
}

// Results returns the types of what each verb prints with --json.
func Results() map[string][]any {
	return map[string][]any{
		"key new": {file{}}, "key list": {file{}}, "key promote": {file{}}, "key remove": {file{}}, "key forget": {forgotten{}},
	}
}

// Completers completes the ids of keys.
func Completers() map[string]session.Completer {
	return map[string]session.Completer{"KEY": func(_ context.Context, _ *session.Session, cfg *config.Config, _ []string, _ string) []cobra.Completion {
		ring, _ := keyring.Read(cfg.Temporal.EncryptionKeyFile) // without, there is nothing to complete
		return ring.IDs()
	}}
}

// file is what each verb prints with --json: the keys of a file, without their secrets.
type file struct {
	File string `json:"file"`
	Keys []key  `json:"keys"`
}

type key struct {
	ID string `json:"id"`
	// Encrypts is set for the one with which this host encrypts; the others decrypt.
	Encrypts bool `json:"encrypts"`
}

// show prints the keys of a file.
func show(s *session.Session, path string, ring keyring.Ring) error {
	f := file{File: path, Keys: []key{}}
	for i, k := range ring.Keys {
		f.Keys = append(f.Keys, key{k.ID, i == 0 && !ring.Standby})
	}
	if s.JSON {
		s.PrintJSON(f)
		return nil
	}
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "KEY\tUSE")
	for _, k := range f.Keys {
		use := "decrypts"
		if k.Encrypts {
			use = "encrypts"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", k.ID, use)
	}
	return table.Flush()
}

// on runs a verb on the file of keys, and shows the keys that it returns.
func (o *options) on(s *session.Session, verb func(path string) (keyring.Ring, error)) error {
	path, err := o.path(s)
	if err != nil {
		return err
	}
	ring, err := verb(path)
	if err != nil {
		return err
	}
	return show(s, path, ring)
}

func newNew(s *session.Session) *cobra.Command {
	var o options
	var standby bool
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a new key, and the file if there is none",
		Long: `New adds a new key to the file of encryption keys. It decrypts alone until mcp key
promote makes it the one that encrypts: copy the file to every host of the fleet
first or, behind a gateway, to those of gateways and control workers. The key of a
new file encrypts at once, for a new fleet; with --standby it does not, for a
fleet that runs already.

The file has mode 0600. Whoever has it can read what rests in Temporal and in
Postgres; whoever loses it can no longer read that. Keep a copy apart from theirs.`,
		Example: "  mcp key new --file /etc/mcp/encryption.keys\n  mcp key new",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return o.on(s, func(path string) (keyring.Ring, error) {
				_, ring, err := keyring.Add(path, standby)
				return ring, err
			})
		},
	}
	cmd.Flags().BoolVar(&standby, "standby", false, "the key of a new file decrypts alone, too")
	return o.add(cmd)
}

func newList(s *session.Session) *cobra.Command {
	var o options
	return o.add(&cobra.Command{
		Use:   "list",
		Short: "List the keys of the file, without their secrets",
		Long: `List shows the ids of the keys, in the order of the file. Two hosts with the same
ids have the same keys.`,
		Example: "  mcp key list",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return o.on(s, keyring.Read) },
	})
}

func newPromote(s *session.Session) *cobra.Command {
	var o options
	return o.add(&cobra.Command{
		Use:   "promote KEY",
		Short: "Make a key the one that encrypts",
		Long: `Promote makes a key of the file the first, with which everything is encrypted from
then on. Every host of the fleet must have the key by then. Processes that run
take it over within seconds. Then copy the file to every host once more.`,
		Example: "  mcp key promote 20261129-k3fq7a",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, ids []string) error {
			return o.on(s, func(path string) (keyring.Ring, error) { return keyring.Promote(path, ids[0]) })
		},
	})
}

func newRemove(s *session.Session) *cobra.Command {
	var o options
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove KEY",
		Short: "Remove a key with which nothing is encrypted any more",
		Long: `Remove removes a key from the file, for good. What is encrypted with it cannot be
read any more: keep it until mcp migrate has encrypted the registry anew, and
until Temporal has dropped the histories of its time, which it keeps for the
retention of the namespace. The key that encrypts is not removed.`,
		Example: "  mcp key remove 20250301-q2mx4c",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			return o.on(s, func(path string) (keyring.Ring, error) {
				if ring, err := keyring.Read(path); err != nil {
					return ring, err
				}
				loss := "what is encrypted with key " + ids[0] + " cannot be read any more"
				if err := s.Confirm(cmd.Context(), "key remove "+ids[0], []string{loss}, yes); err != nil {
					return keyring.Ring{}, err
				}
				return keyring.Remove(path, ids[0])
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return o.add(cmd)
}
