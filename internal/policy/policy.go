package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultFile is where the policy of a node is unless its worker is given another file.
const DefaultFile = "/etc/mcp/node-policy.toml"

// Policy is what a node lets containers have. It travels: a node answers with it.
type Policy struct {
	// File is the file that it was read from. Default is set if there is none, so that mcp's
	// own rules apply.
	File    string `toml:"-" json:"file"`
	Default bool   `toml:"-" json:"default,omitempty"`
	// Problem is why the file cannot be used: then everything new is forbidden.
	Problem string `toml:"-" json:"problem,omitempty"`

	Mounts     Mounts     `toml:"mounts" json:"mounts"`
	Images     Images     `toml:"images" json:"images"`
	Network    Network    `toml:"network" json:"network"`
	Users      Users      `toml:"users" json:"users"`
	Privileges Privileges `toml:"privileges" json:"privileges"`
	Exec       Exec       `toml:"exec" json:"exec"`
	Builds     Builds     `toml:"builds" json:"builds"`

	// Lines are those of the file's keys, such as "mounts.roots".
	Lines map[string]int `toml:"-" json:"lines,omitempty"`
}

// Mounts are the rules of volumes that are directories or files of the node.
type Mounts struct {
	// Roots are directories: what is below one, or is one, may be mounted.
	Roots []string `toml:"roots" json:"roots"`
	// ReadOnlyRoots are as Roots, for mounts with ro.
	ReadOnlyRoots []string `toml:"read_only_roots" json:"read_only_roots"`
	// Options are those that a mount may have.
	Options []string `toml:"options" json:"options"`
	// EngineSockets lets containers mount the sockets of container engines, and
	// directories with one in them, which makes them root of the node.
	EngineSockets bool `toml:"engine_sockets" json:"engine_sockets"`
}

// Images are the rules of images.
type Images struct {
	// Registries are hosts of image registries, or their repositories: "registry.example:5000",
	// "docker.io/library". "*" stands for any.
	Registries []string `toml:"registries" json:"registries"`
}

// Network are the rules of networks and of ports.
type Network struct {
	// Host lets containers use the node's own network.
	Host bool `toml:"host" json:"host"`
	// Names are the networks of podman that containers may join, beside that of their
	// service. "*" stands for any characters.
	Names []string `toml:"names" json:"names"`
	// Ports are the host ports that definitions may name: "8080", "1024-65535".
	Ports []string `toml:"ports" json:"ports"`
}

// Users are the rules of what programs run as.
type Users struct {
	// UIDs and GIDs are ranges, "1000-59999". Empty ones allow everything.
	UIDs []string `toml:"uids" json:"uids"`
	GIDs []string `toml:"gids" json:"gids"`
}

// Privileges are what programs may have beyond the default.
type Privileges struct {
	// Capabilities are those beyond BaseCapabilities; "ALL" stands for every one.
	Capabilities []string `toml:"capabilities" json:"capabilities"`
	// Devices are paths of the node, or names of CDI; "*" stands for any characters but "/".
	Devices []string `toml:"devices" json:"devices"`
	// SecurityOpt are options as in a definition, "seccomp=unconfined"; "seccomp=*" stands
	// for any value.
	SecurityOpt []string `toml:"security_opt" json:"security_opt"`
	// Namespaces of the node that containers may share: "pid", "ipc" and "user".
	Namespaces []string `toml:"namespaces" json:"namespaces"`
	// PidsLimit is the largest pids_limit; -1 allows containers without one.
	PidsLimit int `toml:"pids_limit" json:"pids_limit"`
	// LogSize is the largest log_size.
	LogSize string `toml:"log_size" json:"log_size"`
}

// Exec are the rules of commands that mcp exec runs in a container.
type Exec struct {
	Allowed bool `toml:"allowed" json:"allowed"`
}

// Builds are the rules of builds on this host.
type Builds struct {
	Allowed bool `toml:"allowed" json:"allowed"`
	// SecretFiles are directories: a build may have files below them as its secrets,
	// besides those of the workspace.
	SecretFiles []string `toml:"secret_files" json:"secret_files"`
	// SecretEnvironment are the variables of the builder that a build may have as its
	// secrets. "*" stands for any characters.
	SecretEnvironment []string `toml:"secret_environment" json:"secret_environment"`
}

// BaseCapabilities are what programs that run as root in a container have if neither the
// definition nor the policy says more: what common images need to prepare their files, to
// listen on low ports, and to become another user.
var BaseCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID",
}

// Careful returns the rules that apply if there is no file, and for each key that a file leaves
// out.
func Careful(file string) Policy {
	return Policy{
		File: file, Default: true,
		Mounts: Mounts{
			Roots: []string{"/srv"}, ReadOnlyRoots: []string{},
			Options: []string{
				"ro", "rw", "z", "Z", "U", "O", "copy", "nocopy", "exec", "noexec", "nodev", "nosuid", "bind", "rbind",
				"private", "rprivate", "slave", "rslave",
			},
		},
		Images:     Images{Registries: []string{"*"}},
		Network:    Network{Names: []string{"*"}, Ports: []string{"1024-65535"}},
		Users:      Users{UIDs: []string{}, GIDs: []string{}},
		Privileges: Privileges{Capabilities: []string{}, Devices: []string{}, SecurityOpt: []string{}, Namespaces: []string{}, PidsLimit: 32768, LogSize: "1g"},
		Exec:       Exec{Allowed: true},
		Builds:     Builds{Allowed: true, SecretFiles: []string{"/srv", "/run/secrets"}, SecretEnvironment: []string{"*"}},
	}
}

// Broken returns the policy of a file that cannot be used.
func Broken(file string, problem error) Policy {
	p := Careful(file)
	p.Default, p.Problem = false, problem.Error()
	return p
}

// Violation is a rule that something breaks.
type Violation struct {
	// Key is that of the definition: "volumes[0]".
	Key string `json:"key,omitempty"`
	// Rule is the key of the policy, "mounts.roots", and Line its line in the file; 0 if the
	// file does not contain it, so that the default applies.
	Rule string `json:"rule,omitempty"`
	Line int    `json:"line,omitempty"`
	// Message says what is not allowed, without Key and Rule.
	Message string `json:"message"`
}

// String returns "volumes[0]: mounts /etc, which … (mounts.roots, line 3)".
func (v Violation) String() string {
	var b strings.Builder
	if v.Key != "" {
		b.WriteString(v.Key + ": ")
	}
	b.WriteString(v.Message)
	switch {
	case v.Rule != "" && v.Line > 0:
		b.WriteString(" (" + v.Rule + ", line " + strconv.Itoa(v.Line) + ")")
	case v.Rule != "":
		b.WriteString(" (" + v.Rule + ", by default)")
	}
	return b.String()
}

// mostShown bounds the violations that a sentence names.
const mostShown = 20

// Sentence says what a policy forbids: "the policy of node rift, FILE, forbids component api:
// …; …".
func Sentence(node, policy, what string, broken []Violation) string {
	var texts []string
	for _, v := range broken[:min(len(broken), mostShown)] {
		texts = append(texts, v.String())
	}
	if more := len(broken) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("the policy of %s, %s, forbids %s: %s", node, policy, what, strings.Join(texts, "; "))
}

// Name returns what a policy is called in a sentence: its file.
func (p Policy) Name() string {
	if p.Default {
		return "which is mcp's own as there is no " + p.File
	}
	return p.File
}

// Rule is a key of a policy and its value, for a person.
type Rule struct {
	Key, Value string
	// Line is that of the file; 0 for mcp's own value.
	Line int
}

// Rules returns every rule, in the order of Keys.
func (p Policy) Rules() []Rule {
	list := func(entries []string, none string) string {
		if len(entries) == 0 {
			return none
		}
		return strings.Join(entries, " ")
	}
	values := []string{
		list(p.Mounts.Roots, "none"), list(p.Mounts.ReadOnlyRoots, "none"), list(p.Mounts.Options, "none"), fmt.Sprint(p.Mounts.EngineSockets),
		list(p.Images.Registries, "none"),
		fmt.Sprint(p.Network.Host), list(p.Network.Names, "none"), list(p.Network.Ports, "none"),
		list(p.Users.UIDs, "any"), list(p.Users.GIDs, "any"),
		list(p.Privileges.Capabilities, "none"), list(p.Privileges.Devices, "none"), list(p.Privileges.SecurityOpt, "none"),
		list(p.Privileges.Namespaces, "none"), fmt.Sprint(p.Privileges.PidsLimit), p.Privileges.LogSize,
		fmt.Sprint(p.Exec.Allowed), fmt.Sprint(p.Builds.Allowed), list(p.Builds.SecretFiles, "none"), list(p.Builds.SecretEnvironment, "none"),
	}
	rules := make([]Rule, 0, len(Keys))
	for i, key := range Keys {
		rules = append(rules, Rule{Key: key, Value: values[i], Line: p.line(key)})
	}
	return rules
}
