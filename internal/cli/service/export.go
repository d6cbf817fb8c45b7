package service

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/compose"
	"github.com/metacircular/mcp/internal/quadlet"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

func newExport(s *session.Session) *cobra.Command {
	var format string
	var o output
	cmd := &cobra.Command{
		Use:   "export SERVICE",
		Short: "Write a definition as a Compose file, or as units for Quadlet",
		Long: `Export writes a definition for other programs: as a Compose file, or as units for
podman's systemd generator, Quadlet, of podman 4.4 or later. They need no mcp.
What they cannot say is listed on standard error. Routes become ports of
containers that a proxy can reach; secrets stay where they are, and are named.
A job becomes a unit and a timer of systemd, which Compose has not; steps of
deployments have no place in either.

A Compose file has what Compose has no words for below x-mcp: mcp service import
makes the same definition of it. With --output a Compose file is written to that
file, and units into that directory, which is made.`,
		Example: "  mcp service export shop > compose.yaml\n  mcp service export shop --format quadlet --output /etc/containers/systemd",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, args []string) error { return runExport(s, args[0], format, o) },
	}
	cmd.Flags().StringVar(&format, "format", "compose", "compose or quadlet")
	outputFlags(cmd, &o)
	return cmd
}

// exportedService is what mcp service export --json prints.
type exportedService struct {
	Service string         `json:"service"`
	Format  string         `json:"format"`
	Files   []quadlet.File `json:"files"`
	Notes   []compose.Note `json:"notes"`
}

func runExport(s *session.Session, name, format string, o output) error {
	if format != "compose" && format != "quadlet" {
		return exit.Usage(fmt.Errorf("--format must be compose or quadlet, not %q", format))
	}
	path, err := s.ServicesDir()
	if err != nil {
		return err
	}
	dir, err := servicedir.Read(path)
	if err != nil {
		return exit.Usage(err)
	}
	service, err := dir.Find(name)
	if err != nil {
		return exit.Usage(err)
	}
	made, err := exportAs(service, format)
	if err != nil {
		return err
	}
	if err := o.writeAll(made); err != nil {
		return err
	}
	if s.JSON {
		s.PrintJSON(made)
		return nil
	}
	for _, note := range made.Notes {
		s.Say("%s", note)
	}
	for i, file := range made.Files {
		switch {
		case o.path != "" && format == "compose":
			_, _ = fmt.Fprintln(s.Stdout, o.path)
		case o.path != "":
			_, _ = fmt.Fprintln(s.Stdout, filepath.Join(o.path, file.Name))
		case format == "compose":
			_, _ = fmt.Fprint(s.Stdout, file.Text)
		case i > 0:
			_, _ = fmt.Fprintf(s.Stdout, "\n# %s\n%s", file.Name, file.Text)
		default:
			_, _ = fmt.Fprintf(s.Stdout, "# %s\n%s", file.Name, file.Text)
		}
	}
	return nil
}

func exportAs(service *servicedef.Service, format string) (exportedService, error) {
	made := exportedService{Service: service.Name, Format: format, Notes: []compose.Note{}}
	if format == "quadlet" {
		files, notes := quadlet.Export(service)
		made.Files = files
		for _, n := range notes {
			made.Notes = append(made.Notes, compose.Note{Key: n.Key, Message: n.Message})
		}
		return made, nil
	}
	file, err := compose.Export(service)
	if err != nil {
		return made, err
	}
	made.Files = []quadlet.File{{Name: "compose.yaml", Text: file.Text}}
	made.Notes = append(made.Notes, file.Notes...)
	return made, nil
}

// writeAll writes the files of an export, or none if one of them exists already.
func (o output) writeAll(made exportedService) error {
	if o.path == "" {
		return nil
	}
	if made.Format == "compose" {
		return o.write(made.Files[0].Text)
	}
	if err := os.MkdirAll(o.path, 0o755); err != nil {
		return fmt.Errorf("write the units: %w", err)
	}
	for _, file := range made.Files {
		one := output{filepath.Join(o.path, file.Name), o.force}
		if _, err := os.Lstat(one.path); err == nil && !o.force {
			return exit.Usage(fmt.Errorf("%s is there already: give another --output, or --force to overwrite it", one.path))
		}
	}
	for _, file := range made.Files {
		if err := (output{filepath.Join(o.path, file.Name), o.force}).write(file.Text); err != nil {
			return err
		}
	}
	return nil
}
