package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/servicedef"
)

func newService(a *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Work with service definitions",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newServiceList(a), newServiceShow(a), newServiceNew(a), newServiceEdit(a), &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Report everything that is wrong with service definitions",
		Long: `Check reports everything that is wrong with service definitions, with file,
line and key. It also finds container names that collide, among the files and
with the other services of the services directory. Without a file it checks
that whole directory. It needs no other part of mcp.`,
		Example: "  mcp service check\n  mcp service check shop.toml --json",
		RunE:    func(_ *cobra.Command, files []string) error { return a.checkServices(files) },
	})
	return cmd
}

// checked is one entry of mcp service check --json.
type checked struct {
	File     string            `json:"file"`
	Service  string            `json:"service,omitempty"`
	OK       bool              `json:"ok"`
	Problems servicedef.Errors `json:"problems"`
	parsed   *servicedef.Service
}

func (a *App) checkServices(files []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		if files, err = definitionsIn(cfg.Services, cfg.Describe()); err != nil {
			return usageError{err}
		}
	}
	list := make([]*checked, 0, len(files))
	for _, file := range files {
		list = append(list, checkFile(file))
	}
	checkTogether(list, cfg.Services)
	return a.showChecked(list)
}

// definitionsIn lists the files of the services directory.
func definitionsIn(dir, configuration string) ([]string, error) {
	if dir == "" {
		return nil, fmt.Errorf("no file given, and no services directory set; this configuration is %s", configuration)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("look into the services directory: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "[^.]*.toml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no definition in the services directory %s", dir)
	}
	return files, err
}

// definitions are the sound ones of a directory, and what is wrong with others.
func definitions(dir string) (map[string]*servicedef.Service, servicedef.Errors, error) {
	read, err := servicedef.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	sound, problems := read.Services()
	return sound, problems, nil
}

// checkFile checks what can be told from one file.
func checkFile(file string) *checked {
	c := &checked{File: file, Problems: servicedef.Errors{}}
	service, err := servicedef.Load(file)
	if err == nil {
		c.Service, c.parsed = service.Name, service
	} else if !errors.As(err, &c.Problems) {
		c.Problems = servicedef.Errors{{File: file, Message: err.Error()}}
	}
	return c
}

// checkTogether finds names that are claimed twice: by two of the files, or by
// a file and the definition of another service in the directory.
func checkTogether(list []*checked, dir string) {
	byFile, byName := map[string]*checked{}, map[string]*checked{}
	var given []*servicedef.Service
	for _, c := range list {
		if c.parsed == nil {
			continue
		}
		if other, taken := byName[c.Service]; taken {
			c.Problems = append(c.Problems, servicedef.Problem{
				File: c.File, Key: "name", Message: fmt.Sprintf("%s defines service %s too", other.File, c.Service),
			})
			continue
		}
		byFile[c.File], byName[c.Service] = c, c
		given = append(given, c.parsed)
	}
	// What else the directory has is only looked at: its own problems are not
	// asked for, and a file of a service stands in for the one there.
	others, _, _ := definitions(dir)
	all := slices.DeleteFunc(slices.Collect(maps.Values(others)), func(s *servicedef.Service) bool { return byName[s.Name] != nil })
	var collisions servicedef.Errors
	if errors.As(servicedef.Collisions(append(all, given...)), &collisions) {
		for _, p := range collisions {
			if c := byFile[p.File]; c != nil {
				c.Problems = append(c.Problems, p)
			}
		}
	}
}

// showChecked shows the findings, and gives the exit code.
func (a *App) showChecked(list []*checked) error {
	bad := false
	for _, c := range list {
		c.OK = len(c.Problems) == 0
		bad = bad || !c.OK
		switch {
		case a.json:
		case c.OK:
			_, _ = fmt.Fprintf(a.Stdout, "OK %s: service %s on %s, components %v\n", c.File, c.Service, c.parsed.Node, componentNames(c.parsed))
		default:
			_, _ = fmt.Fprintln(a.Stdout, c.Problems)
		}
	}
	if a.json {
		a.printJSON(list)
	}
	if bad {
		return exitError(exitUsage)
	}
	return nil
}
