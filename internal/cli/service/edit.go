package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

func newEdit(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "edit SERVICE",
		Short: "Change a definition in your editor",
		Long: `Edit opens a copy of a definition in $VISUAL, or $EDITOR, checks it when the
editor ends, and saves it where it is valid. A copy that is not saved is kept, and
its path is printed.`,
		Example: "  mcp service edit shop",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runEdit(cmd.Context(), s, args[0]) },
	}
}

// edit is the change of a definition, in a copy of its file.
type edit struct {
	session         *session.Session
	dir, name, path string
	copy            string
	// before is the file's text when the copy was made.
	before []byte
}

func runEdit(ctx context.Context, s *session.Session, name string) error {
	e := &edit{session: s, name: name}
	var err error
	if e.dir, err = s.ServicesDir(); err != nil {
		return err
	}
	if e.path, err = fileOfService(e.dir, name); err != nil {
		return exit.Usage(err)
	}
	if whole, err := servicedef.Load(e.path); err == nil {
		e.name = whole.Name // where name is that of the service in an environment
	}
	if err := e.makeCopy(); err != nil {
		return fmt.Errorf("copy the definition: %w", err)
	}
	return e.untilSound(ctx)
}

// fileOfService returns the file that defines a service, valid or not.
func fileOfService(dir, name string) (string, error) {
	read, err := servicedir.Read(dir)
	if err != nil {
		return "", err
	}
	service, err := read.Find(name)
	var problems servicedef.Errors
	switch {
	case err == nil:
		return filepath.EvalSymlinks(service.File)
	case errors.As(err, &problems) && len(problems) > 0:
		return filepath.EvalSymlinks(problems[0].File)
	}
	return "", err
}

func (e *edit) makeCopy() error {
	var err error
	if e.before, err = os.ReadFile(e.path); err != nil {
		return err
	}
	file, err := os.CreateTemp("", "mcp-"+e.name+"-*.toml")
	if err != nil {
		return err
	}
	e.copy = file.Name()
	_, err = file.Write(e.before)
	return errors.Join(err, file.Close())
}

// untilSound opens the editor until the copy can be saved, or the operator gives up.
func (e *edit) untilSound(ctx context.Context) error {
	for {
		if err := runEditor(ctx, e.session, e.copy); err != nil {
			return e.kept(err)
		}
		text, err := os.ReadFile(e.copy)
		if err != nil {
			return fmt.Errorf("read the copy: %w", err)
		}
		if bytes.Equal(text, e.before) {
			_ = os.Remove(e.copy) // it equals the file
			return e.saved(false)
		}
		err = e.check(string(text))
		if err == nil {
			if err := e.save(text); err != nil {
				return e.kept(err)
			}
			_ = os.Remove(e.copy) // the file has its text
			return e.saved(true)
		}
		if !e.session.Asks() {
			return e.kept(err)
		}
		e.session.Fault(exit.FaultOf(exit.Usage(err)))
		_, _ = fmt.Fprint(e.session.Stderr, "Edit it again? [Y/n] ")
		answer, err := e.session.Answer(ctx)
		if err != nil || strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "n") {
			return e.kept(cmp.Or(err, error(fault.New(fault.Invalid, "the definition is not saved"))))
		}
	}
}

// check returns what is wrong with a text.
func (e *edit) check(text string) error {
	service, err := checkText(e.dir, e.path, text)
	if err == nil && service.Name != e.name {
		return fault.New(fault.Invalid, "name: this is the definition of service %s; it cannot become that of %s", e.name, service.Name)
	}
	return err
}

// save replaces the file as a whole, unless it has changed since the copy was made.
func (e *edit) save(text []byte) error {
	now, err := os.ReadFile(e.path)
	if err != nil {
		return fmt.Errorf("read the definition again: %w", err)
	}
	if !bytes.Equal(now, e.before) {
		return fault.New(fault.Conflict, "%s has changed meanwhile, and was not replaced", e.path)
	}
	info, err := os.Stat(e.path)
	if err != nil {
		return fmt.Errorf("read the definition again: %w", err)
	}
	// The temporary file has a hidden name, and so is no definition.
	err = renameio.WriteFile(e.path, text, info.Mode().Perm(), renameio.WithTempDir(filepath.Dir(e.path)), renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("save the definition: %w", err)
	}
	return nil
}

// edited is what mcp service edit --json prints.
type edited struct {
	Service string `json:"service"`
	File    string `json:"file"`
	Changed bool   `json:"changed"`
}

// saved shows how the edit ended.
func (e *edit) saved(changed bool) error {
	switch {
	case e.session.JSON:
		e.session.PrintJSON(edited{e.name, e.path, changed})
	case changed:
		_, _ = fmt.Fprintf(e.session.Stdout, "%s is saved\n", e.path)
		e.session.Say("see what it would do: mcp plan %s", e.name)
	default:
		_, _ = fmt.Fprintf(e.session.Stdout, "%s is unchanged\n", e.path)
	}
	return nil
}

// kept adds the path of the copy to an error.
func (e *edit) kept(err error) error {
	if _, interrupted := exit.CodeOf(err); interrupted {
		e.session.Say("your copy is %s", e.copy)
		return err
	}
	return exit.Usage(exit.FaultOf(exit.Usage(err)).WithHint("your copy is %s", e.copy))
}

// runEditor opens a file in the operator's editor, which may be a command with
// arguments. Meanwhile Ctrl-C is left to the editor: some have it as a key.
func runEditor(ctx context.Context, s *session.Session, path string) error {
	keys := make(chan os.Signal, 1)
	signal.Notify(keys, os.Interrupt)
	defer signal.Stop(keys)
	editor := cmp.Or(s.Getenv("VISUAL"), s.Getenv("EDITOR"), "vi")
	cmd := exec.Command("sh", "-c", editor+` "$1"`, "sh", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, ui.Behind(s.Stdout), ui.Behind(s.Stderr)
	if err := cmd.Run(); err != nil {
		return cmp.Or(exit.IfInterrupted(ctx), error(fault.Wrap(fault.Invalid, err, "the editor %q failed", editor)))
	}
	return nil
}
