package node

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/follow"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
)

// podmanFile is what mcp node signatures prints of a file with --json.
type podmanFile struct {
	Path string `json:"path"`
	// Current is set if the file has that text already, or one of the same meaning.
	Current bool   `json:"current"`
	Text    string `json:"text"`
	// Note is what this podman's version cannot do.
	Note string `json:"note,omitempty"`
}

func newSignatures(s *session.Session) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "signatures",
		Short: "Print the files that make this host's podman check signatures itself",
		Long: `Signatures runs on a node. Its worker checks the signatures that
[image_registry.require_signature] in mcp.toml asks for. Podman can check them
too, whatever pulls the image, but takes that from files of its own, which no
caller of its API can choose. This prints them: podman's policy with the
requirements added, and a file that has podman look for cosign's signatures.
Nothing is written. mcp doctor says whether they are in place.`,
		Example: "  mcp node signatures\n  mcp node signatures --json | jq -r '.[0].text' >/etc/containers/policy.json",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runSignatures(cmd.Context(), s, dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the folder that podman reads (default: that of the socket's user)")
	return cmd
}

func runSignatures(ctx context.Context, s *session.Session, dir string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	if len(cfg.ImageRegistry.RequireSignature) == 0 {
		return fault.New(fault.Invalid, "no image registry requires signatures; this configuration is %s", cfg.Describe()).
			WithHint("set [image_registry.require_signature] in mcp.toml: docs/operating.md explains it")
	}
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return fmt.Errorf("find --dir: %w", err)
		}
	}
	files, err := follow.PodmanFiles(ctx, cfg, dir)
	if err != nil {
		return err
	}
	shown := make([]podmanFile, len(files))
	for i, f := range files {
		shown[i] = podmanFile{f.Path, f.Current, f.Text, f.Note}
	}
	if s.JSON {
		s.PrintJSON(shown)
		return nil
	}
	for _, f := range shown {
		state := "to be written"
		if f.Current {
			state = "in place"
		}
		_, _ = fmt.Fprintf(s.Stdout, "# %s: %s\n%s\n", f.Path, state, f.Text)
		if f.Note != "" {
			_, _ = fmt.Fprintf(s.Stderr, "note: %s\n", f.Note)
		}
	}
	return nil
}
