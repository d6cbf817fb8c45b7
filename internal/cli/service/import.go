package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/compose"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// output is where a verb writes.
type output struct {
	path  string
	force bool
}

// importOptions are the flags of mcp service import.
type importOptions struct {
	compose.Options
	output
}

func newImport(s *session.Session) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import COMPOSE-FILE…",
		Short: "Make a definition of Compose files",
		Long: `Import makes a definition of a Compose file, or of several of which a later one
changes the earlier ones, and writes it to standard output, or to the file that
--output names. What could not be taken over is listed on standard error, with
its line, and so is what needs a hand: secrets to create, directories to copy.

It understands profiles, extends, include, anchors, and variables with the values
of .env and of the environment. The definition is valid: mcp service check accepts
it. Nothing is deployed, and no other part of mcp is needed.`,
		Example: "  mcp service import compose.yaml\n  mcp service import compose.yaml compose.prod.yaml --output shop.toml",
		Args:    session.Args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, files []string) error {
			o.Files = files
			return runImport(s, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "", "the name of the service (default: the project's)")
	flags.StringVar(&o.Node, "node", "", "the node that it runs on (default: [node] name of mcp.toml)")
	flags.StringVar(&o.Registry, "registry", "", "the image registry of what is built (default: the first one of mcp.toml)")
	flags.StringArrayVar(&o.Profiles, "profile", nil, `a profile that is on; "*" for all`)
	flags.StringArrayVar(&o.EnvFiles, "env-file", nil, "a file with the values of variables (default: .env beside the first file)")
	outputFlags(cmd, &o.output)
	return cmd
}

// outputFlags adds the flags --output and --force.
func outputFlags(cmd *cobra.Command, o *output) {
	cmd.Flags().StringVarP(&o.path, "output", "o", "", "where to write (default: standard output)")
	cmd.Flags().BoolVar(&o.force, "force", false, "overwrite what is there")
}

// importedService is what mcp service import --json prints.
type importedService struct {
	Service string `json:"service"`
	// File is where the definition was written; "" for nowhere.
	File string `json:"file,omitempty"`
	// Definition is its text.
	Definition string         `json:"definition"`
	Notes      []compose.Note `json:"notes"`
}

func runImport(s *session.Session, o importOptions) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	o.complete(cfg)
	o.Getenv = func(name string) (string, bool) {
		value := s.Getenv(name)
		return value, value != ""
	}
	made, err := compose.Import(o.Options)
	if lacksNode(err) {
		err = fault.Wrap(fault.Invalid, err, "import %s", o.Files[0]).WithHint("name the node that the service runs on: --node NAME")
	}
	if err != nil {
		return exit.Usage(err)
	}
	if err := o.write(made.Text); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(importedService{made.Service.Name, o.path, made.Text, append([]compose.Note{}, made.Notes...)})
		return nil
	}
	for _, note := range made.Notes {
		s.Say("%s", note)
	}
	if o.path == "" {
		_, _ = fmt.Fprint(s.Stdout, made.Text)
		return nil
	}
	_, _ = fmt.Fprintln(s.Stdout, o.path)
	s.Say("%s; check it: mcp service check %s", ui.Counted(len(made.Notes), "note"), o.path)
	return nil
}

// lacksNode reports whether an import has failed for want of a node.
func lacksNode(err error) bool {
	var problems servicedef.Errors
	return errors.As(err, &problems) && slices.ContainsFunc(problems, func(p servicedef.Problem) bool {
		return strings.HasSuffix(p.Key, ".node")
	})
}

// complete fills in the defaults that the configuration has.
func (o *importOptions) complete(cfg *config.Config) {
	if o.Node == "" {
		o.Node = cfg.Node.Name
	}
	if o.Registry == "" && len(cfg.ImageRegistry.Insecure) > 0 {
		o.Registry = cfg.ImageRegistry.Insecure[0]
	}
	if workspace, err := filepath.Abs(cfg.Build.Workspace); err == nil && cfg.Build.Workspace != "" {
		o.Workspace = workspace
	}
}

// write writes a text to the file that the flags name; to none without one.
func (o output) write(text string) error {
	switch {
	case o.path == "":
		return nil
	case !o.force:
		err := writeNew(o.path, text)
		if errors.Is(err, fs.ErrExist) || fault.Is(err, fault.Conflict) {
			return exit.Usage(fault.New(fault.Conflict, "%s is there already", o.path).WithHint("give another --output, or --force to overwrite it"))
		}
		return err
	}
	if info, err := os.Stat(o.path); err == nil && !info.Mode().IsRegular() {
		return exit.Usage(fmt.Errorf("%s is no regular file", o.path))
	}
	if err := renameio.WriteFile(o.path, []byte(text), 0o644, renameio.WithTempDir(filepath.Dir(o.path))); err != nil {
		return fmt.Errorf("write %s: %w", o.path, err)
	}
	return nil
}
