package compose

import (
	"encoding/base64"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/metacircular/mcp/internal/compose/source"
)

// largestFile is the size of the largest file of a definition, in bytes.
const largestFile = 256 << 10

// mount is a volume in either notation.
type mount struct {
	kind, source, target string
	options              []string
	node                 *source.Node
	at                   string
}

func (c *component) volumes() {
	for i, item := range itemsOf(c.node.Get("volumes")) {
		at := "volumes[" + strconv.Itoa(i) + "]"
		read := c.shortVolume
		if item.Kind == source.Map {
			read = c.longVolume
		}
		m, ok := read(item, at)
		if !ok {
			continue
		}
		m.node, m.at = item, at
		switch m.kind {
		case "volume":
			c.namedVolume(m)
		case "bind":
			c.bind(m)
		case "tmpfs":
			c.add("tmpfs", strings.Join(append([]string{m.target}, m.options...), ":"), item, at)
		}
	}
}

// shortVolume reads "[source:]target[:options]".
func (c *component) shortVolume(item *source.Node, at string) (mount, bool) {
	parts := strings.Split(item.Text, ":")
	m := mount{kind: "volume", source: parts[0]}
	if len(parts) == 1 {
		c.note(item, at, "is not taken over: a volume without a name is another one after each deploy; write NAME:%s", item.Text)
		return m, false
	}
	m.target = parts[1]
	if strings.HasPrefix(m.source, ".") || strings.HasPrefix(m.source, "/") || strings.HasPrefix(m.source, "~") {
		m.kind = "bind"
	}
	if len(parts) > 2 {
		for option := range strings.SplitSeq(parts[2], ",") {
			m.option(option)
		}
	}
	if len(parts) > 3 {
		c.note(item, at, `is not taken over: %q is not "[source:]target[:options]"`, item.Text)
	}
	return m, len(parts) <= 3
}

// option adds an option, unless it is one of Docker's for macOS or the default.
func (m *mount) option(option string) {
	if option != "" && option != "rw" && !slices.Contains([]string{"cached", "delegated", "consistent"}, option) {
		m.options = append(m.options, option)
	}
}

func (c *component) longVolume(item *source.Node, at string) (mount, bool) {
	m := mount{kind: text(item.Get("type")), source: text(item.Get("source")), target: text(item.Get("target"))}
	if truth(item.Get("read_only")) {
		m.options = append(m.options, "ro")
	}
	switch m.kind {
	case "volume":
		if truth(item.Get("volume").Get("nocopy")) {
			m.options = append(m.options, "nocopy")
		}
		if m.source == "" {
			c.note(item, at, "is not taken over: a volume without a name is another one after each deploy")
			return m, false
		}
	case "bind":
		m.option(text(item.Get("bind").Get("propagation")))
		m.option(text(item.Get("bind").Get("selinux")))
	case "tmpfs":
		m.options = nil
		if size := text(item.Get("tmpfs").Get("size")); size != "" {
			m.options = append(m.options, "size="+strings.ToLower(strings.TrimSuffix(strings.ToLower(size), "b")))
		}
		if mode := item.Get("tmpfs").Get("mode"); !mode.Empty() {
			m.options = append(m.options, "mode="+octal(mode))
		}
		if len(m.options) > 0 {
			m.options = []string{strings.Join(m.options, ",")}
		}
	default:
		c.note(item, at, "is not taken over: mcp has no volumes of type %q", m.kind)
		return m, false
	}
	if subpath := item.Get("volume").Get("subpath"); !subpath.Empty() {
		c.im.note(subpath, c.key+"."+at+".volume.subpath", "is not taken over: the whole volume is mounted")
	}
	return m, true
}

// octal returns a mode as octal digits: a number of YAML is octal already if it begins
// with 0, else it is decimal.
func octal(n *source.Node) string {
	if n.Type == "!!int" {
		if value, err := strconv.ParseInt(n.Text, 0, 64); err == nil {
			if strings.HasPrefix(n.Text, "0") {
				return "0" + strings.TrimLeft(strings.TrimPrefix(strings.ToLower(n.Text), "0o"), "0")
			}
			return "0" + strconv.FormatInt(value, 8)
		}
	}
	return n.Text
}

func (m mount) text(from string) string {
	whole := from + ":" + m.target
	if len(m.options) > 0 {
		whole += ":" + strings.Join(m.options, ",")
	}
	return whole
}

// namedVolume takes over a volume. Compose puts the project's name before the volume's
// own; a volume that is given another name keeps that.
func (c *component) namedVolume(m mount) {
	declared := c.im.project.Root.Get("volumes").Get(m.source)
	name := c.im.objectName(declared, m.source)
	if driver := declared.Get("driver"); text(driver) == "local" {
		driver.Take()
	}
	c.add("volumes", m.text(name), m.node, m.at)
}

// objectName returns the name of what a section of the file declares.
func (im *importing) objectName(declared *source.Node, name string) string {
	external := declared.Get("external")
	given := declared.Get("name")
	if old := external.Get("name"); !old.Empty() {
		given = old
	}
	isExternal := truth(external) || external != nil && external.Kind == source.Map
	external.Take()
	if given.Take(); !given.Empty() {
		return given.Text
	}
	if isExternal || name == im.name || strings.HasPrefix(name, im.name+"-") {
		return name
	}
	return im.name + "-" + name
}

// bind takes over a path of the host. One of the project is not on the node: a small file
// becomes one of the definition, and a directory gets a place on the node.
func (c *component) bind(m mount) {
	if path.IsAbs(m.source) {
		c.add("volumes", m.text(path.Clean(m.source)), m.node, m.at)
		return
	}
	whole := c.im.project.Path(m.node, m.source)
	local, inside := c.im.local(whole)
	if strings.HasPrefix(m.source, "~") || !inside {
		c.note(m.node, m.at, "is not taken over: put %s on the node, and name its absolute path there", m.source)
		return
	}
	if info, err := os.Stat(whole); err == nil && info.Mode().IsRegular() && info.Size() <= largestFile {
		c.im.sources = m.node
		c.add("files", map[string]any{"source": local, "target": m.target}, m.node, m.at)
		return
	}
	place := path.Join("/srv", c.im.name, filepath.ToSlash(local))
	c.add("volumes", m.text(place), m.node, m.at)
	c.im.note(m.node, c.key+"."+m.at, "is %s on the node: copy %s there", place, m.source)
}

// secrets takes over those that become files.
func (c *component) secrets() {
	for i, item := range itemsOf(c.node.Get("secrets")) {
		at := "secrets[" + strconv.Itoa(i) + "]"
		short := text(item)
		if item.Kind == source.Map {
			short = text(item.Get("source"))
		}
		declared := c.im.project.Root.Get("secrets").Get(short)
		if declared == nil {
			c.note(item, at, "is not taken over: the file does not declare the secret %s", short)
			continue
		}
		name := c.im.objectName(declared, short)
		secret := map[string]any{"source": name}
		target := short
		if given := text(item.Get("target")); given != "" {
			target = strings.TrimPrefix(given, "/run/secrets/")
		}
		if target != name {
			secret["target"] = target
		}
		c.owner(item, secret)
		if len(secret) == 1 {
			c.add("secrets", name, item, at)
		} else {
			c.add("secrets", secret, item, at)
		}
		c.im.secretOf(declared, short, name)
	}
}

// secretOf says how the secret comes to the node.
func (im *importing) secretOf(declared *source.Node, key, name string) {
	file, variable := declared.Get("file"), declared.Get("environment")
	switch {
	case !file.Empty():
		im.note(file.Take(), "secrets."+key, "create it on the node: podman secret create %s %s", name, file.Text)
	case !variable.Empty():
		im.note(variable.Take(), "secrets."+key, "create it on the node, of the value of $%s: podman secret create %s FILE", variable.Text, name)
	}
	declared.Take()
}

func (c *component) owner(item *source.Node, into map[string]any) {
	for _, key := range []string{"uid", "gid"} {
		if n := item.Get(key); !n.Empty() && n.Text != "0" {
			into[key] = wholeOr(n)
		}
	}
	if mode := item.Get("mode"); !mode.Empty() {
		into["mode"] = octal(mode)
	}
}

// configs takes over files of the project, and those that are written in the Compose
// file.
func (c *component) configs() {
	for i, item := range itemsOf(c.node.Get("configs")) {
		at := "configs[" + strconv.Itoa(i) + "]"
		short := text(item)
		if item.Kind == source.Map {
			short = text(item.Get("source"))
		}
		declared := c.im.project.Root.Get("configs").Get(short)
		file := map[string]any{"target": "/" + short}
		if target := text(item.Get("target")); target != "" {
			file["target"] = target
		}
		c.owner(item, file)
		if problem := c.content(declared, file); problem != "" {
			c.note(item, at, "is not taken over: %s", problem)
			continue
		}
		declared.Take()
		c.add("files", file, item, at)
	}
}

// content sets the content of a file, and returns why it cannot.
func (c *component) content(declared *source.Node, file map[string]any) string {
	switch from, content, variable := declared.Get("file"), declared.Get("content"), declared.Get("environment"); {
	case declared == nil:
		return "the file does not declare it"
	case content != nil:
		file["content"] = content.Text
	case !from.Empty():
		whole := c.im.project.Path(from, from.Text)
		local, inside := c.im.local(whole)
		if !inside {
			return from.Text + " is outside of the project"
		}
		if info, err := os.Stat(whole); err == nil && info.IsDir() {
			return from.Text + " is a directory"
		}
		file["source"] = local
		c.im.sources = from
	case !variable.Empty():
		value, _ := c.im.project.Lookup(variable.Text)
		if !utf8.ValidString(value) {
			file["base64"] = base64.StdEncoding.EncodeToString([]byte(value))
		} else {
			file["content"] = value
		}
	default:
		return "its content is not in the file"
	}
	return ""
}
