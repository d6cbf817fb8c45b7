package policy

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/linux"
)

// MaxSize bounds the text of a policy, in bytes.
const MaxSize = 256 << 10

// Parse reads a policy. A key that the text leaves out has its value of Careful. The error
// has every problem, each with file, line and key.
func Parse(text []byte, file string) (Policy, error) {
	p := Careful(file)
	p.Default = false
	if len(text) > MaxSize {
		return p, fmt.Errorf("%s: has more than %d KiB", file, MaxSize>>10)
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&p); err != nil {
		return p, located(file, err)
	}
	p.Lines = lines(text)
	return p, p.validate()
}

// located adds the line and the key of each mistake.
func located(file string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var problems []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			problems = append(problems, fmt.Errorf("%s:%d: %s: unknown key; the keys are %s", file, line, strings.Join(e.Key(), "."), strings.Join(Keys, ", ")))
		}
		return errors.Join(problems...)
	}
	var wrong *toml.DecodeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", file, err)
	}
	line, _ := wrong.Position()
	message := strings.TrimPrefix(wrong.Error(), "toml: ")
	if before, field, ok := strings.Cut(message, " into struct field "); ok {
		_, kind, _ := strings.Cut(field, " of type ")
		message = before + " into " + kind
	}
	if key := strings.Join(wrong.Key(), "."); key != "" {
		message = key + ": " + message
	}
	return fmt.Errorf("%s:%d: %s", file, line, message)
}

// Keys are those of a policy.
var Keys = []string{
	"mounts.roots", "mounts.read_only_roots", "mounts.options", "mounts.engine_sockets", "images.registries",
	"network.host", "network.names", "network.ports", "users.uids", "users.gids", "privileges.capabilities",
	"privileges.devices", "privileges.security_opt", "privileges.namespaces", "privileges.pids_limit", "privileges.log_size",
	"exec.allowed", "builds.allowed", "builds.secret_files", "builds.secret_environment",
}

// lines returns the line of each key of a text.
func lines(text []byte) map[string]int {
	var newlines []int
	for i, b := range text {
		if b == '\n' {
			newlines = append(newlines, i)
		}
	}
	found := map[string]int{}
	var parser unstable.Parser
	parser.Reset(text)
	table := ""
	note := func(prefix string, key unstable.Iterator) string {
		at := -1
		for key.Next() {
			part := key.Node()
			prefix = strings.TrimPrefix(prefix+"."+string(part.Data), ".")
			if at < 0 {
				at = int(part.Raw.Offset)
			}
		}
		if at >= 0 {
			found[prefix] = 1 + sort.SearchInts(newlines, at)
		}
		return prefix
	}
	var pair func(prefix string, node *unstable.Node)
	pair = func(prefix string, node *unstable.Node) {
		name := note(prefix, node.Key())
		if value := node.Value(); value.Kind == unstable.InlineTable {
			for children := value.Children(); children.Next(); {
				pair(name, children.Node())
			}
		}
	}
	for parser.NextExpression() {
		switch e := parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = note("", e.Key())
		case unstable.KeyValue:
			pair(table, e)
		}
	}
	return found
}

// validate reports every value that cannot be meant.
func (p Policy) validate() error {
	var problems []error
	add := func(key, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s:%d: %s: %s", p.File, p.line(key), key, fmt.Sprintf(format, args...)))
	}
	for _, list := range []struct {
		key  string
		dirs []string
	}{{"mounts.roots", p.Mounts.Roots}, {"mounts.read_only_roots", p.Mounts.ReadOnlyRoots}, {"builds.secret_files", p.Builds.SecretFiles}} {
		for _, dir := range list.dirs {
			if !path.IsAbs(dir) || climbs(dir) {
				add(list.key, `must be absolute paths without "..", not %q`, dir)
			}
		}
	}
	for _, option := range p.Mounts.Options {
		if !slices.Contains(mountOptions, option) {
			add("mounts.options", "%q is no option of a mount; there are %s", option, strings.Join(mountOptions, ", "))
		}
	}
	for _, registry := range p.Images.Registries {
		if !registryPattern.MatchString(registry) {
			add("images.registries", `must be hosts, such as "registry.example:5000", with or without a repository, or "*", not %q`, registry)
		}
	}
	for _, name := range p.Network.Names {
		if strings.Trim(name, "*") == "host" {
			add("network.names", "the node's own network is network.host")
		}
		if !namePattern.MatchString(name) {
			add("network.names", `must be names of networks, or "*", not %q`, name)
		}
	}
	for _, list := range []struct {
		key   string
		texts []string
		most  int
	}{{"network.ports", p.Network.Ports, 65535}, {"users.uids", p.Users.UIDs, 1<<32 - 2}, {"users.gids", p.Users.GIDs, 1<<32 - 2}} {
		for _, text := range list.texts {
			if _, _, err := parseRange(text, list.most); err != nil {
				add(list.key, "%q: %v", text, err)
			}
		}
	}
	for _, name := range p.Privileges.Capabilities {
		if !linux.KnownCapability(name) {
			add("privileges.capabilities", "%q is no capability of Linux", name)
		}
	}
	for _, device := range p.Privileges.Devices {
		if _, err := path.Match(device, "x"); err != nil || !path.IsAbs(device) && !strings.Contains(device, "=") || climbs(device) {
			add("privileges.devices", `must be paths such as "/dev/ttyUSB*", or names of CDI such as "nvidia.com/gpu=all", not %q`, device)
		}
	}
	for _, option := range p.Privileges.SecurityOpt {
		if name, value := servicedef.SecurityOption(option); value == "" || !slices.Contains(securityOptions, name) {
			add("privileges.security_opt", `must be options such as "seccomp=unconfined", "label=*" or "no-new-privileges=false", not %q`, option)
		}
	}
	for _, name := range p.Privileges.Namespaces {
		if !slices.Contains(namespaces, name) {
			add("privileges.namespaces", "must be of %s, not %q", strings.Join(namespaces, ", "), name)
		}
	}
	if p.Privileges.PidsLimit == 0 || p.Privileges.PidsLimit < servicedef.Unlimited {
		add("privileges.pids_limit", "must be positive, or -1 for any")
	}
	if size, err := units.RAMInBytes(p.Privileges.LogSize); err != nil || size <= 0 {
		add("privileges.log_size", `must be a size such as "1g", not %q`, p.Privileges.LogSize)
	}
	for _, name := range p.Builds.SecretEnvironment {
		if !variablePattern.MatchString(name) {
			add("builds.secret_environment", `must be names of variables, or with "*", not %q`, name)
		}
	}
	return errors.Join(problems...)
}

var (
	registryPattern = regexp.MustCompile(`^(\*|(\*\.)?[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?)$`)
	namePattern     = regexp.MustCompile(`^[a-zA-Z0-9*][a-zA-Z0-9_.*-]*$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z0-9_*]+$`)
	// mountOptions are podman's, without values.
	mountOptions = []string{
		"ro", "rw", "z", "Z", "O", "U", "copy", "nocopy", "dev", "nodev", "exec", "noexec", "suid", "nosuid", "bind", "rbind",
		"idmap", "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable", "upperdir", "workdir",
	}
	securityOptions = []string{"no-new-privileges", "seccomp", "apparmor", "label", "mask", "unmask"}
	namespaces      = []string{"pid", "ipc", "user"}
)

// parseRange reads "80" or "80-89".
func parseRange(text string, most int) (first, last int, err error) {
	from, to, ranged := strings.Cut(text, "-")
	if first, err = strconv.Atoi(from); err != nil {
		return 0, 0, fmt.Errorf(`must be a number or a range such as "1000-2000"`)
	}
	if last = first; ranged {
		if last, err = strconv.Atoi(to); err != nil {
			return 0, 0, fmt.Errorf(`must be a number or a range such as "1000-2000"`)
		}
	}
	if first < 0 || last < first || last > most {
		return 0, 0, fmt.Errorf("must ascend from 0 to %d", most)
	}
	return first, last, nil
}

// line returns the line of a key; 0 if the text does not have it.
func (p Policy) line(key string) int { return p.Lines[key] }

// climbs reports whether a path has an element "..".
func climbs(text string) bool { return slices.Contains(strings.Split(text, "/"), "..") }
