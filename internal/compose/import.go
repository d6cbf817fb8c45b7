// Package compose turns Compose files into definitions, and definitions into Compose
// files. Each says what it could not take over.
package compose

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/internal/compose/table"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/composekeys"
)

// Options are what a Compose file is imported with.
type Options struct {
	source.Options
	// Name is that of the service; "" for the project's.
	Name string
	// Node runs it.
	Node string
	// Registry is the image registry of the images that are built.
	Registry string
	// Workspace has the sources of builds; "" if there is none here.
	Workspace string
}

// Note is something that was not taken over, or that the user must do.
type Note struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Key is the place in the Compose file: "services.web.privileged".
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// String returns "compose.yaml:12: services.web.privileged: …".
func (n Note) String() string {
	place := ""
	if n.File != "" {
		place = fmt.Sprintf("%s:%d: ", n.File, n.Line)
	}
	if n.Key != "" {
		place += n.Key + ": "
	}
	return place + n.Message
}

// Imported is a definition made from a Compose file.
type Imported struct {
	Service *servicedef.Service
	// Text is the definition.
	Text  string
	Notes []Note
}

// Import makes a definition from Compose files. An error means a file that cannot be
// read, or that Compose would refuse.
func Import(o Options) (*Imported, error) {
	project, err := source.Load(o.Options)
	if err != nil {
		return nil, err
	}
	im := &importing{options: o, project: project, top: map[string]any{}, images: map[string]any{}, imageNodes: map[string]*source.Node{}, imageKeys: map[string]string{}}
	im.name = cmp.Or(o.Name, labelOf(project.Root.Get("name").Take()), label(filepath.Base(project.Dir())))
	if !servicedef.IsLabel(im.name) {
		return nil, fmt.Errorf("%q cannot be the name of a service, which is a DNS label: give --name", im.name)
	}
	im.services()
	if len(im.failed) > 0 {
		return nil, errors.Join(im.failed...)
	}
	im.extensions()
	im.leftovers()
	service, text, err := im.settled()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(im.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return &Imported{Service: service, Text: text, Notes: slices.Compact(im.notes)}, nil
}

// importing is one import.
type importing struct {
	options    Options
	project    *source.Project
	name       string
	components []*component
	// top has the keys of the service, and images those of [build.images].
	top, images map[string]any
	imageNodes  map[string]*source.Node
	// imageKeys are the keys of the services whose builds these are.
	imageKeys map[string]string
	notes     []Note
	// failed are mistakes that prevent a definition.
	failed []error
	// sources is set if the definition names files of the project.
	sources *source.Node
}

func (im *importing) note(n *source.Node, key, format string, args ...any) {
	note := Note{Key: key, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		note.File, note.Line = im.shown(n.File), n.Line
	}
	im.notes = append(im.notes, note)
}

// shown returns the name of a file as the caller has given it.
func (im *importing) shown(file string) string {
	if relative, err := filepath.Rel(im.project.Dir(), file); err == nil && filepath.IsLocal(relative) {
		return filepath.Join(filepath.Dir(im.options.Files[0]), relative)
	}
	return file
}

func (im *importing) services() {
	services := im.project.Root.Get("services")
	for _, left := range im.project.Left {
		im.note(left, "services."+left.Text, "is left out, because its profiles are off: --profile NAME takes it")
	}
	for _, unset := range im.project.Unset {
		im.note(unset.Node, "", "variable %s is not set, and taken as empty", unset.Variable)
	}
	names := map[string]string{}
	for _, name := range services.Keys {
		c := &component{im: im, node: services.Get(name), key: "services." + name, name: label(name), fields: map[string]field{}, lists: map[string][]field{}, maps: map[string]map[string]field{}}
		if other, taken := names[c.name]; taken {
			im.note(c.node, c.key, "is left out: as a DNS label its name is that of %s, %s", other, c.name)
			c.node.Take()
			continue
		}
		names[c.name] = name
		if c.name != name {
			im.note(c.node, c.key, "is called %s, because the name of a component is a DNS label", c.name)
		}
		im.components = append(im.components, c)
	}
	for _, c := range im.components {
		c.convert()
	}
}

// leftovers notes what nothing has taken.
func (im *importing) leftovers() {
	root := im.project.Root
	root.Get("version").Take()
	for _, c := range im.components {
		c.node.Left(c.key, func(key string, n *source.Node) {
			name := key[strings.LastIndex(key, ".")+1:]
			im.note(n, key, "%s", reasonOf(name))
		})
		c.node.Take()
	}
	root.Get("services").Take()
	for _, section := range []string{"volumes", "networks", "secrets", "configs"} {
		for _, name := range keysOf(root.Get(section)) {
			one := root.Get(section).Get(name)
			for _, quiet := range []string{"name", "external", "labels", "driver_opts"} {
				if one.Get(quiet).Empty() {
					one.Get(quiet).Take()
				}
			}
			if one.Empty() || len(one.Keys) == 0 {
				one.Take()
			}
		}
		if section := root.Get(section); section.Empty() || len(section.Keys) == 0 {
			section.Take()
		}
	}
	root.Left("", func(key string, n *source.Node) {
		if !strings.HasPrefix(key, "x-") {
			im.note(n, key, "is not taken over: mcp has no such key")
		}
	})
}

// settled returns the definition. What the rules for definitions refuse is left out, and
// noted.
func (im *importing) settled() (*servicedef.Service, string, error) {
	for range 1000 {
		text := im.text()
		service, err := servicedef.Parse([]byte(text), im.name+".toml")
		if err == nil {
			return service, text, nil
		}
		var problems servicedef.Errors
		if !errors.As(err, &problems) || !slices.ContainsFunc(problems, im.drop) {
			return nil, "", fmt.Errorf("the import makes no valid definition: %w", err)
		}
	}
	return nil, "", errors.New("the import makes no valid definition: it has too many mistakes")
}

// drop leaves out what a problem is about.
func (im *importing) drop(p servicedef.Problem) bool {
	for i, c := range im.components {
		prefix := fmt.Sprintf("components[%d].", i)
		if key, ok := strings.CutPrefix(p.Key, prefix); ok {
			return c.drop(key, p.Message)
		}
	}
	key, isImage := strings.CutPrefix(p.Key, "build.images.")
	if !isImage {
		return false
	}
	for name, n := range im.imageNodes {
		if key != name && !strings.HasPrefix(key, name+".") && !strings.HasPrefix(key, `"`+name+`"`) {
			continue
		}
		build, isTable := im.images[name].(map[string]any)
		inner := strings.TrimPrefix(key[min(len(key), len(name)):], ".")
		inner, _, _ = strings.Cut(inner, ".")
		inner, _, _ = strings.Cut(inner, "[")
		if isTable && inner != "" && build[inner] != nil {
			at := cmp.Or(composekeys.Of("build.images."+inner), "build."+inner)
			im.note(n, im.imageKeys[name]+"."+at, "is not taken over: %s", p.Message)
			delete(build, inner)
			return true
		}
		im.note(n, im.imageKeys[name]+".build", "is not taken over: %s", p.Message)
		delete(im.images, name)
		delete(im.imageNodes, name)
		return true
	}
	return false
}

// text returns the definition as it is so far.
func (im *importing) text() string {
	t := map[string]any{"name": im.name, "node": im.options.Node}
	for key, value := range im.top {
		t[key] = value
	}
	if _, given := im.top["path"]; !given && im.sources != nil {
		t["path"] = im.path()
	}
	if len(im.images) > 0 {
		t["build"] = map[string]any{"images": im.images}
	}
	var list []map[string]any
	for _, c := range im.components {
		list = append(list, c.table())
	}
	t["components"] = list
	return "# Made from " + filepath.Base(im.options.Files[0]) + " by mcp service import.\n" + table.Text(t)
}

// path returns the directory of the project, relative to the workspace.
func (im *importing) path() string {
	if im.options.Workspace != "" {
		if relative, err := filepath.Rel(im.options.Workspace, im.project.Dir()); err == nil && filepath.IsLocal(relative) {
			return relative
		}
	}
	return im.name
}

// local returns the path of a file of the project, relative to it; false if it is
// elsewhere.
func (im *importing) local(path string) (string, bool) {
	relative, err := filepath.Rel(im.project.Dir(), path)
	return relative, err == nil && filepath.IsLocal(relative)
}

func keysOf(n *source.Node) []string {
	if n == nil {
		return nil
	}
	return n.Keys
}

func labelOf(n *source.Node) string {
	if n.Empty() {
		return ""
	}
	return label(n.Text)
}

// label makes a DNS label of a name.
func label(name string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	for strings.Contains(text, "--") {
		text = strings.ReplaceAll(text, "--", "-")
	}
	return strings.Trim(text[:min(len(text), 63)], "-")
}
