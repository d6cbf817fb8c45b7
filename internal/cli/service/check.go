package service

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/servicedef/exposed"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// checked is one entry of mcp service check --json.
type checked struct {
	File    string `json:"file"`
	Service string `json:"service,omitempty"`
	// Environments are those of the definition; each is checked.
	Environments []string          `json:"environments,omitempty"`
	OK           bool              `json:"ok"`
	Problems     servicedef.Errors `json:"problems"`
	// Warnings are of values that look like secrets; they make nothing wrong.
	Warnings servicedef.Errors `json:"warnings"`
	// parsed has the service, and the services in its environments.
	parsed []*servicedef.Service
}

func newCheck(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Report everything that is wrong with service definitions",
		Long: `Check reports everything that is wrong with service definitions, with file,
line and key. It also finds container names, host ports and hostnames that
collide, among the files and with the other services of the services directory.
Each service is checked in every environment of its definition, too. The name of
a service stands for its file in that directory, and without a file it checks the
whole directory. It needs no other part of mcp.

It warns of values in env, build args and the like that look like secrets, by
their names or by themselves: they belong into a secret, because whoever reads
the definition, mcp's registry or Temporal can read them. A warning is no error.`,
		Example: "  mcp service check\n  mcp service check shop\n  mcp service check drafts/shop.toml --json",
		RunE:    func(_ *cobra.Command, files []string) error { return runCheck(s, files) },
	}
}

func runCheck(s *session.Session, files []string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		if files, err = session.DefinitionFiles(cfg); err != nil {
			return err
		}
	}
	list := make([]*checked, 0, len(files))
	for _, file := range files {
		list = append(list, checkFile(located(file, cfg.Services), cfg.Build.SourceDir()))
	}
	checkTogether(list, cfg.Services)
	return showChecked(s, list)
}

// located returns the file of a service in a directory, if arg is its name and not a file.
func located(arg, dir string) string {
	if _, err := os.Stat(arg); err == nil || dir == "" || !servicedef.IsLabel(arg) {
		return arg
	}
	file := filepath.Join(dir, arg+".toml")
	if _, err := os.Stat(file); err != nil {
		return arg
	}
	return file
}

// checkFile checks one file alone, and the files of the workspace that it names.
func checkFile(file, workspace string) *checked {
	c := &checked{File: file, Problems: servicedef.Errors{}, Warnings: servicedef.Errors{}}
	written, err := servicedef.LoadAll(file)
	services := written
	if err == nil {
		services, err = servicedef.ReadAllSources(written, workspace)
	}
	c.warn(written, services)
	if err == nil {
		c.Service, c.parsed = services[0].Name, services
		for _, s := range services[1:] {
			c.Environments = append(c.Environments, strings.TrimPrefix(s.Name, c.Service+"-"))
		}
	} else if !errors.As(err, &c.Problems) {
		c.Problems = servicedef.Errors{{File: file, Message: err.Error()}}
	}
	return c
}

// warn adds what looks like a secret in the file, and in the files of variables that it
// names.
func (c *checked) warn(written, read []*servicedef.Service) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return // which is a problem already
	}
	c.Warnings = append(c.Warnings, exposed.In(text, c.File)...)
	for i := range min(len(written), len(read)) {
		for _, w := range exposed.InEnvFiles(written[i], read[i], text) {
			if !slices.Contains(c.Warnings, w) {
				c.Warnings = append(c.Warnings, w)
			}
		}
	}
}

// checkTogether finds names, host ports and endpoints that are taken twice: by two of the
// files, or by a file and the definition of another service in the directory.
func checkTogether(list []*checked, dir string) {
	byFile, byName := map[string]*checked{}, map[string]*checked{}
	var given []*servicedef.Service
	for _, c := range list {
		for _, s := range c.parsed {
			if other, taken := byName[s.Name]; taken {
				c.Problems = append(c.Problems, servicedef.Problem{
					File: c.File, Key: "name", Message: fmt.Sprintf("%s defines service %s too", other.File, s.Name),
				})
				continue
			}
			byFile[c.File], byName[s.Name] = c, c
			given = append(given, s)
		}
	}
	// The problems of the directory's other definitions are not reported, and a file
	// given for a service replaces the one there.
	all := append(othersIn(dir, byFile, byName), given...)
	for _, err := range []error{collisions.Containers(all), collisions.Ports(all), collisions.Endpoints(all)} {
		var collisions servicedef.Errors
		errors.As(err, &collisions)
		for _, p := range collisions {
			if c := byFile[p.File]; c != nil {
				c.Problems = append(c.Problems, p)
			}
		}
	}
}

// othersIn returns the valid definitions of the directory beside the given ones, sorted by
// name. It leaves out an environment of a given service that is not in its file any more.
func othersIn(dir string, files, names map[string]*checked) []*servicedef.Service {
	read, err := servicedir.Read(dir)
	if err != nil {
		return nil
	}
	everything := read.All()
	var others []*servicedef.Service
	for _, name := range slices.Sorted(maps.Keys(everything)) {
		s := everything[name]
		if replaced := names[name] != nil || replacedBy(s, everything, names); !replaced && files[s.File] == nil {
			others = append(others, s)
		}
	}
	return others
}

// replacedBy reports whether a service comes from a file of which another service is
// given.
func replacedBy(s *servicedef.Service, everything map[string]*servicedef.Service, names map[string]*checked) bool {
	for name := range names {
		if other := everything[name]; other != nil && other.File == s.File {
			return true
		}
	}
	return false
}

// showChecked shows the problems, and returns the exit code.
func showChecked(s *session.Session, list []*checked) error {
	bad := false
	for _, c := range list {
		c.OK = len(c.Problems) == 0
		bad = bad || !c.OK
		switch {
		case s.JSON:
		case c.OK:
			_, _ = fmt.Fprintf(s.Stdout, "OK %s: service %s on %s, components %v%s\n", c.File, c.Service, c.parsed[0].Node, session.ComponentNames(c.parsed[0]), inWords(c.Environments))
		default:
			_, _ = fmt.Fprintln(s.Stdout, c.Problems)
		}
		for _, w := range c.Warnings {
			if !s.JSON {
				_, _ = fmt.Fprintln(s.Stderr, "warning:", w)
			}
		}
	}
	if s.JSON {
		s.PrintJSON(list)
	}
	if bad {
		return exit.BadUsage
	}
	return nil
}

// inWords lists environments after the rest of a line.
func inWords(environments []string) string {
	if len(environments) == 0 {
		return ""
	}
	return fmt.Sprintf(", environments %v", environments)
}
