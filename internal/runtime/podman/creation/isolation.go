package creation

import (
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/linux"
)

// namespace chooses a namespace: "host", "private", or with a value, "auto".
type namespace struct {
	Mode  string `json:"nsmode,omitempty"`
	Value string `json:"value,omitempty"`
}

// isolation is the part of a request that says what the program may do and see.
type isolation struct {
	CapAdd          []string          `json:"cap_add,omitempty"`
	CapDrop         []string          `json:"cap_drop,omitempty"`
	SELinux         []string          `json:"selinux_opts,omitempty"`
	LabelNested     bool              `json:"label_nested,omitempty"`
	AppArmor        string            `json:"apparmor_profile,omitempty"`
	Seccomp         string            `json:"seccomp_profile_path,omitempty"`
	NoNewPrivileges bool              `json:"no_new_privileges,omitempty"`
	Mask            []string          `json:"mask,omitempty"`
	Unmask          []string          `json:"unmask,omitempty"`
	ReadOnly        bool              `json:"read_only_filesystem,omitempty"`
	ReadWriteTmpfs  *bool             `json:"read_write_tmpfs,omitempty"`
	Sysctl          map[string]string `json:"sysctl,omitempty"`
	Users           *namespace        `json:"userns,omitempty"`
	PIDs            *namespace        `json:"pidns,omitempty"`
	IPC             *namespace        `json:"ipcns,omitempty"`
}

func (i *isolation) setIsolation(s servicedef.Container) {
	for _, name := range s.CapAdd {
		i.CapAdd = append(i.CapAdd, linux.Capability(name))
	}
	for _, name := range s.CapDrop {
		i.CapDrop = append(i.CapDrop, linux.Capability(name))
	}
	i.CapDrop = append(i.CapDrop, withheld(i.CapAdd, i.CapDrop)...)
	i.NoNewPrivileges = true
	for _, option := range s.SecurityOpt {
		i.addSecurityOption(option)
	}
	if s.ReadOnly {
		// Podman's command line adds writable directories, which Compose's users do not
		// expect; tmpfs names those that a program needs.
		none := false
		i.ReadOnly, i.ReadWriteTmpfs = true, &none
	}
	i.Users, i.PIDs, i.IPC = namespaceOf(s.Userns), namespaceOf(s.PID), namespaceOf(s.IPC)
	for name, value := range s.Sysctls {
		if i.Sysctl == nil {
			i.Sysctl = map[string]string{}
		}
		i.Sysctl[strings.ReplaceAll(name, "/", ".")] = value
	}
}

// unasked are capabilities that podman's versions grant to root in a container, and that
// mcp grants to a definition that asks for them.
var unasked = []string{"CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_SYS_CHROOT"}

// withheld returns the unasked capabilities that a definition does not mention. They are
// dropped one by one: podman would give those of a list of additions to programs that do not
// run as root, too.
func withheld(added, dropped []string) []string {
	all := func(name string) bool { return name == "ALL" }
	if slices.ContainsFunc(added, all) || slices.ContainsFunc(dropped, all) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(unasked), func(name string) bool {
		return slices.Contains(added, name) || slices.Contains(dropped, name)
	})
}

func (i *isolation) addSecurityOption(option string) {
	switch name, value := servicedef.SecurityOption(option); name {
	case "no-new-privileges":
		i.NoNewPrivileges = value == "true"
	case "seccomp":
		i.Seccomp = value
	case "apparmor":
		i.AppArmor = value
	case "label":
		if value == "nested" {
			i.LabelNested = true
		} else {
			i.SELinux = append(i.SELinux, value)
		}
	case "mask":
		i.Mask = append(i.Mask, strings.Split(value, ":")...)
	case "unmask":
		i.Unmask = append(i.Unmask, strings.Split(value, ":")...)
	}
}

// namespaceOf returns the choice of "mode[:value]"; nil for podman's default.
func namespaceOf(text string) *namespace {
	if text == "" {
		return nil
	}
	mode, value, _ := strings.Cut(text, ":")
	return &namespace{mode, value}
}
