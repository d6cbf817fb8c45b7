package source

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
)

// Options are what the files are read with.
type Options struct {
	// Files are merged, a later one over an earlier one.
	Files []string
	// Profiles are those that are on, in addition to those of $COMPOSE_PROFILES; "*" is
	// all.
	Profiles []string
	// EnvFiles contain the values of variables. Without one, it is .env beside the first
	// of Files, if that exists.
	EnvFiles []string
	// Getenv returns the values of variables, which win over those of the files.
	Getenv func(name string) (string, bool)
}

// Project is what Compose files say.
type Project struct {
	// Root contains the keys services, volumes, networks, secrets and configs, and name.
	Root *Node
	// Left are the services whose profiles are off.
	Left []*Node
	// Unset are the values with variables that are not set, which are taken as empty.
	Unset []Unset
	// Lookup returns the value of a variable.
	Lookup func(name string) (string, bool)
	// dirs are the directories that the paths of a file are relative to.
	dirs map[string]string
}

// Unset is a use of a variable that has no value.
type Unset struct {
	Node     *Node
	Variable string
}

// Path returns the path of a file that a value names.
func (p *Project) Path(n *Node, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(p.dirs[n.File], name)
}

// Dir returns the directory of the first file.
func (p *Project) Dir() string { return p.dirs[p.Root.File] }

// Load reads Compose files.
func Load(o Options) (*Project, error) {
	l := &loader{project: &Project{dirs: map[string]string{}}, services: map[string]*Node{}}
	dir, err := filepath.Abs(filepath.Dir(o.Files[0]))
	if err != nil {
		return nil, err
	}
	if l.lookup, err = variables(dir, o.EnvFiles, o.Getenv, o.EnvFiles == nil); err != nil {
		return nil, err
	}
	l.project.Lookup = l.lookup
	var root *Node
	for _, file := range o.Files {
		one, err := l.file(file, dir, l.lookup, nil)
		if err != nil {
			return nil, err
		}
		if root == nil {
			root = one
		} else {
			root = mergeProject(root, one)
		}
	}
	l.project.Root = root
	services := root.Get("services")
	if services.Empty() || services.Kind != Map {
		return nil, root.Errorf("is no Compose file: it has no services")
	}
	for _, name := range services.Keys {
		if services.fields[name].Kind != Map {
			return nil, services.fields[name].Errorf("service %s must be a map", name)
		}
		Normalize(services.fields[name])
	}
	l.profiles(services, o.Profiles)
	return l.project, nil
}

// loader reads files that name one another.
type loader struct {
	project  *Project
	lookup   template.Mapping
	nodes    int
	files    int
	services map[string]*Node // that others extend, by file and name
}

// variables returns the values of variables.
func variables(dir string, files []string, getenv func(string) (string, bool), standard bool) (template.Mapping, error) {
	if standard {
		files = []string{".env"}
	}
	values := map[string]string{}
	lookup := func(name string) (string, bool) {
		if value, set := getenv(name); set {
			return value, true
		}
		value, set := values[name]
		return value, set
	}
	for _, file := range files {
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		data, err := readBounded(file, maxFileSize)
		if standard && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read variables: %w", err)
		}
		read, err := dotenv.UnmarshalBytesWithLookup(data, lookup)
		if err != nil {
			return nil, fmt.Errorf("read variables: %s: %w", file, err)
		}
		maps.Copy(values, read)
	}
	return lookup, nil
}

// file reads one file and what it includes, with the services that it extends merged in.
// Within are the files that include it.
func (l *loader) file(file, dir string, lookup template.Mapping, within []string) (*Node, error) {
	file = filepath.Clean(file)
	if l.files++; l.files > maxFiles {
		return nil, fmt.Errorf("read %s: it is one of more than %d files", file, maxFiles)
	}
	if slices.Contains(within, file) {
		return nil, fmt.Errorf("%s includes itself: %s", file, strings.Join(append(within, file), " → "))
	}
	l.project.dirs[file] = dir
	root, err := readYAML(file, &l.nodes, func(n *Node) error { return l.replace(n, lookup) })
	if err != nil {
		return nil, err
	}
	if err := l.extendAll(root, lookup); err != nil {
		return nil, err
	}
	return root, l.include(root, dir, lookup, append(within, file))
}

// replace replaces the variables of a text.
func (l *loader) replace(n *Node, lookup template.Mapping) error {
	if !strings.Contains(n.Text, "$") {
		return nil
	}
	text, err := template.SubstituteWithOptions(n.Text, func(name string) (string, bool) {
		value, set := lookup(name)
		if !slices.Contains(n.Variables, name) {
			n.Variables = append(n.Variables, name)
		}
		return value, set
	}, template.WithoutLogging)
	if err != nil {
		return n.Errorf("%w", err)
	}
	for _, name := range n.Variables {
		if _, set := lookup(name); !set && !hasDefault(n.Text, name) {
			l.project.Unset = append(l.project.Unset, Unset{n, name})
		}
	}
	if n.Text = text; len(text) > maxText {
		return n.Errorf("a text has %d KiB with its variables; the limit is %d KiB", len(text)>>10, maxText>>10)
	}
	return nil
}

// hasDefault reports whether a text gives a default for a variable that is not set.
func hasDefault(text, name string) bool {
	_, rest, found := strings.Cut(text, "${"+name)
	return found && rest != "" && strings.ContainsRune(":-+?", rune(rest[0]))
}

// extendAll merges each service of a file over the one that it extends.
func (l *loader) extendAll(root *Node, lookup template.Mapping) error {
	services := root.Get("services")
	if services.Empty() {
		return nil
	}
	for _, name := range services.Keys {
		s, err := l.extended(services, name, lookup, nil)
		if err != nil {
			return err
		}
		services.fields[name] = s
	}
	return nil
}

// extended returns a service merged over the one that it extends. Chain are the services
// that extend it.
func (l *loader) extended(services *Node, name string, lookup template.Mapping, chain []string) (*Node, error) {
	service := services.Get(name)
	extends := service.Get("extends")
	if extends.Empty() {
		return service, nil
	}
	place := services.File + "#" + name
	if slices.Contains(chain, place) || len(chain) > maxDepth {
		return nil, extends.Errorf("services extend one another: %s", strings.Join(append(chain, place), " → "))
	}
	of, other := services, extends.Text
	if extends.Kind == Map {
		other = extends.Get("service").text()
		if file := extends.Get("file"); !file.Empty() {
			path := l.project.Path(extends, file.Text)
			root, err := l.other(path, lookup)
			if err != nil {
				return nil, extends.Errorf("extends %s: %w", file.Text, err)
			}
			of = root.Get("services")
		}
	}
	if of.Get(other) == nil {
		return nil, extends.Errorf("extends service %q, which %s does not have", other, filepath.Base(fileOf(of, extends)))
	}
	base, err := l.extended(of, other, lookup, append(chain, place))
	if err != nil {
		return nil, err
	}
	merged := mergeService(base, service)
	merged.remove("extends")
	return merged, nil
}

func fileOf(n, fallback *Node) string {
	if n == nil {
		return fallback.File
	}
	return n.File
}

// other reads a file that contains an extended service.
func (l *loader) other(file string, lookup template.Mapping) (*Node, error) {
	if root := l.services[file]; root != nil {
		return root, nil
	}
	if l.files++; l.files > maxFiles {
		return nil, fmt.Errorf("it is one of more than %d files", maxFiles)
	}
	if _, known := l.project.dirs[file]; !known {
		l.project.dirs[file] = filepath.Dir(file)
	}
	root, err := readYAML(file, &l.nodes, func(n *Node) error { return l.replace(n, lookup) })
	l.services[file] = root
	return root, err
}

// include adds what other files declare.
func (l *loader) include(root *Node, dir string, lookup template.Mapping, within []string) error {
	list := root.Get("include")
	if list.Empty() {
		return nil
	}
	for _, item := range list.Items {
		one := item.Get("path")
		if item.Kind == Scalar {
			one = item
		}
		if one.Empty() {
			return item.Errorf("include must name a file, or have the key path")
		}
		included, err := l.included(item, one, dir, lookup, within)
		if err != nil {
			return err
		}
		if err := addAll(root, included); err != nil {
			return err
		}
	}
	root.remove("include")
	return nil
}

// included reads the files of one include, which are merged.
func (l *loader) included(item, paths *Node, dir string, lookup template.Mapping, within []string) (*Node, error) {
	files := paths.Items
	if paths.Kind == Scalar {
		files = []*Node{paths}
	}
	inner := ""
	if given := item.Get("project_directory"); !given.Empty() {
		inner = absolute(dir, given.Text)
	}
	var root *Node
	for _, file := range files {
		path := absolute(dir, file.Text)
		if inner == "" {
			inner = filepath.Dir(path)
		}
		values, err := l.includedVariables(item, dir, inner, lookup)
		if err != nil {
			return nil, item.Errorf("include: %w", err)
		}
		one, err := l.file(path, inner, values, within)
		if err != nil {
			var at *Error
			if errors.As(err, &at) {
				return nil, err
			}
			return nil, item.Errorf("include: %w", err)
		}
		if root == nil {
			root = one
		} else {
			root = mergeProject(root, one)
		}
	}
	return root, nil
}

// includedVariables returns those of the files that an include names, or of .env beside
// what is included; the including project's win.
func (l *loader) includedVariables(item *Node, dir, inner string, lookup template.Mapping) (template.Mapping, error) {
	given := item.Get("env_file")
	if given.Empty() {
		return variables(inner, nil, lookup, true)
	}
	files := given.Items
	if given.Kind == Scalar {
		files = []*Node{given}
	}
	var names []string
	for _, file := range files {
		names = append(names, absolute(dir, file.Text))
	}
	return variables(inner, names, lookup, false)
}

func absolute(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// addAll adds the sections of an included project. What both have must be the same.
func addAll(root, included *Node) error {
	for _, section := range []string{"services", "volumes", "networks", "secrets", "configs"} {
		from := included.Get(section)
		if from.Empty() {
			continue
		}
		into := root.Get(section)
		if into.Empty() {
			root.set(section, from)
			continue
		}
		for _, name := range from.Keys {
			if former := into.Get(name); section == "services" && former != nil {
				return former.Errorf("%s %s is in %s too", strings.TrimSuffix(section, "s"), name, from.fields[name].File)
			} else if former.Empty() {
				into.set(name, from.fields[name])
			}
		}
	}
	return nil
}

// profiles takes out the services whose profiles are off.
func (l *loader) profiles(services *Node, on []string) {
	if names, set := l.lookup("COMPOSE_PROFILES"); set {
		on = slices.Concat(on, strings.Split(names, ","))
	}
	for _, name := range slices.Clone(services.Keys) {
		given := services.fields[name].Get("profiles")
		if services.fields[name].Get("x-mcp") != nil {
			given.Take() // an export has written them
			continue
		}
		if given.Empty() || slices.Contains(on, "*") {
			given.Take()
			continue
		}
		enabled := slices.ContainsFunc(given.Items, func(p *Node) bool { return slices.Contains(on, p.Text) })
		if given.Take(); enabled || len(given.Items) == 0 {
			continue
		}
		left := services.fields[name]
		left.Text = name
		l.project.Left = append(l.project.Left, left)
		services.remove(name)
	}
}
