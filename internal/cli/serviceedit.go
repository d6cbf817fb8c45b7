package cli

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

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

func newServiceEdit(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "edit SERVICE",
		Short: "Change a definition in your editor",
		Long: `Edit opens a copy of a definition in $VISUAL, or $EDITOR, checks it when the
editor ends, and saves it where nothing is wrong with it. A copy that is not
saved is kept, and named.`,
		Example: "  mcp service edit shop",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.editService(cmd.Context(), args[0]) },
	}
}

// edit is a definition that is being changed, in a copy.
type edit struct {
	app             *App
	dir, name, path string
	copy            string
	// before is the file's text when the copy was made.
	before []byte
}

func (a *App) editService(ctx context.Context, name string) error {
	e := &edit{app: a, name: name}
	var err error
	if e.dir, err = a.servicesDir(); err != nil {
		return err
	}
	if e.path, err = fileOfService(e.dir, name); err != nil {
		return usageOr(err)
	}
	if err := e.makeCopy(); err != nil {
		return fmt.Errorf("copy the definition: %w", err)
	}
	return e.untilSound(ctx)
}

// fileOfService is the file that defines a service, sound or not.
func fileOfService(dir, name string) (string, error) {
	read, err := servicedef.ReadDir(dir)
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

// untilSound has the copy edited until it can be saved, or the operator gives
// up.
func (e *edit) untilSound(ctx context.Context) error {
	for {
		if err := e.app.runEditor(ctx, e.copy); err != nil {
			return e.kept(err)
		}
		text, err := os.ReadFile(e.copy)
		if err != nil {
			return fmt.Errorf("read the copy: %w", err)
		}
		if bytes.Equal(text, e.before) {
			_ = os.Remove(e.copy) // it holds nothing new
			return e.saved(false)
		}
		err = e.check(string(text))
		if err == nil {
			if err := e.save(text); err != nil {
				return e.kept(err)
			}
			_ = os.Remove(e.copy) // it is saved
			return e.saved(true)
		}
		if e.app.Interactive == nil || !e.app.Interactive() {
			return e.kept(err)
		}
		_, f := classify(usageOr(err))
		writeFault(e.app.Stderr, f)
		_, _ = fmt.Fprint(e.app.Stderr, "Edit it again? [Y/n] ")
		answer, err := e.app.answer(ctx)
		if err != nil || strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "n") {
			return e.kept(cmp.Or(err, error(fault.New(fault.Invalid, "the definition is not saved"))))
		}
	}
}

// check says what is wrong with a text.
func (e *edit) check(text string) error {
	service, err := checkText(e.dir, e.path, text)
	if err == nil && service.Name != e.name {
		return fault.New(fault.Invalid, "name: this is the definition of service %s; it cannot become that of %s", e.name, service.Name)
	}
	return err
}

// save puts a text in the place of the file, as a whole, unless somebody else
// has changed that meanwhile.
func (e *edit) save(text []byte) error {
	now, err := os.ReadFile(e.path)
	if err != nil {
		return fmt.Errorf("read the definition again: %w", err)
	}
	if !bytes.Equal(now, e.before) {
		return fault.New(fault.Conflict, "%s has changed meanwhile, and stays as it is", e.path)
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

// saved tells how it ended.
func (e *edit) saved(changed bool) error {
	switch {
	case e.app.json:
		e.app.printJSON(edited{e.name, e.path, changed})
	case changed:
		_, _ = fmt.Fprintf(e.app.Stdout, "%s is saved\n", e.path)
		e.app.say("see what it would do: mcp plan %s", e.name)
	default:
		_, _ = fmt.Fprintf(e.app.Stdout, "%s is as it was\n", e.path)
	}
	return nil
}

// kept adds to an error where what was edited is.
func (e *edit) kept(err error) error {
	if _, interrupted := asExit(err); interrupted {
		e.app.say("your copy is %s", e.copy)
		return err
	}
	_, f := classify(usageOr(err))
	return usageError{f.WithHint("your copy is %s", e.copy)}
}

// runEditor opens a file in the operator's editor, which may be a command with
// arguments. Ctrl-C is the editor's meanwhile: a key like others, for some.
func (a *App) runEditor(ctx context.Context, path string) error {
	keys := make(chan os.Signal, 1)
	signal.Notify(keys, os.Interrupt)
	defer signal.Stop(keys)
	editor := cmp.Or(a.Getenv("VISUAL"), a.Getenv("EDITOR"), "vi")
	cmd := exec.Command("sh", "-c", editor+` "$1"`, "sh", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.Stdin, behind(a.Stdout), a.Stderr
	if err := cmd.Run(); err != nil {
		return cmp.Or(interrupted(ctx), error(fault.New(fault.Invalid, "the editor %q has failed: %v", editor, err)))
	}
	return nil
}
