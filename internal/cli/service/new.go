package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
)

func newNew(s *session.Session) *cobra.Command {
	var o draft
	cmd := &cobra.Command{
		Use:   "new [NAME]",
		Short: "Write a new definition",
		Long: `New writes the definition of a service with one component, with comments, into
the services directory. It overwrites no file, and writes only what is valid. With
--containerfile mcp builds the image where the image registry does not have it.

Without a name, on a terminal, it asks for the name and for everything that no
flag gives.`,
		Example: "  mcp service new\n  mcp service new shop --node rift --image registry.example/shop:v1",
		Args:    session.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return runNew(cmd.Context(), s, o, cmd.Flags().Changed)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.node, "node", "", "the node that it runs on (default: [node] name of mcp.toml)")
	flags.StringVar(&o.image, "image", "", "its image, with a tag (default: NAME:v1 of the first image registry of mcp.toml)")
	flags.StringVar(&o.containerfile, "containerfile", "", "what to build the image from, below the directory NAME of the workspace")
	flags.IntVar(&o.port, "port", 0, "the port that its program listens on (default: one that mcp chooses, as $PORT)")
	return cmd
}

// writtenService is what mcp service new --json prints.
type writtenService struct {
	Service string `json:"service"`
	File    string `json:"file"`
}

// runNew writes a definition. Given reports whether a flag was given.
func runNew(ctx context.Context, s *session.Session, o draft, given func(flag string) bool) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	if cfg.Services == "" {
		return session.NoServices(cfg)
	}
	if o.name == "" {
		if !s.Asks() {
			return exit.Usage(errors.New("name the service: mcp service new NAME --node NODE --image REGISTRY/NAME:TAG"))
		}
		if err := askService(ctx, s, cfg, &o, given); err != nil {
			return err
		}
	}
	o.complete(cfg)
	if err := o.check(cfg.Services); err != nil {
		return exit.Usage(err)
	}
	path := o.path(cfg.Services)
	if err := writeNew(path, o.text()); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(writtenService{o.name, path})
		return nil
	}
	_, _ = fmt.Fprintln(s.Stdout, path)
	s.Say("change it: mcp service edit %s; then: mcp deploy %s", o.name, o.name)
	return nil
}

// writeNew writes a file that must not exist yet.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return exit.Usage(fault.New(fault.Conflict, "%s is there already", path))
	}
	if err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	return nil
}
