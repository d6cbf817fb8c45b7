package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/metacircular/mcp/servicedef"
)

// Relevant returns the part of a component that a policy judges. It has no variables, no
// commands and no contents of files.
func Relevant(c servicedef.Component) servicedef.Component {
	return servicedef.Component{
		Name: c.Name, Image: c.Image, Volumes: c.Volumes, Ports: c.Ports, User: c.User, Network: c.Network, Networks: c.Networks,
		LogSize: c.LogSize,
		Container: servicedef.Container{
			CapAdd: c.CapAdd, SecurityOpt: c.SecurityOpt, PidsLimit: c.PidsLimit, Devices: c.Devices, GPUs: c.GPUs,
			GroupAdd: c.GroupAdd, Userns: c.Userns, PID: c.PID, IPC: c.IPC,
		},
	}
}

// Fingerprint identifies what a policy judges of a component of a service.
func Fingerprint(service string, c servicedef.Component) string {
	text, err := json.Marshal(struct {
		Service   string
		Component servicedef.Component
	}{service, Relevant(c)})
	if err != nil {
		panic(fmt.Sprintf("encode component %s: %v", c.Name, err)) // plain data; cannot happen
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

const (
	// mostEntries bounds a list of a policy that a node answers with, and longestEntry an
	// entry.
	mostEntries, longestEntry = 1000, 4096
)

// Checked returns the plausible part of a node's answer: lists and texts of bounded size.
func (p Policy) Checked() Policy {
	p.File, p.Problem = cut(p.File), cut(p.Problem)
	p.Privileges.LogSize = cut(p.Privileges.LogSize)
	for _, list := range []*[]string{
		&p.Mounts.Roots, &p.Mounts.ReadOnlyRoots, &p.Mounts.Options, &p.Images.Registries, &p.Network.Names, &p.Network.Ports,
		&p.Users.UIDs, &p.Users.GIDs, &p.Privileges.Capabilities, &p.Privileges.Devices, &p.Privileges.SecurityOpt,
		&p.Privileges.Namespaces, &p.Builds.SecretFiles, &p.Builds.SecretEnvironment,
	} {
		short := make([]string, 0, min(len(*list), mostEntries))
		for _, entry := range (*list)[:min(len(*list), mostEntries)] {
			short = append(short, cut(entry))
		}
		*list = short
	}
	known := map[string]int{}
	for _, key := range Keys {
		if line, found := p.Lines[key]; found && line > 0 {
			known[key] = line
		}
	}
	p.Lines = known
	return p
}

// CheckedViolations returns the plausible part of a node's answer.
func CheckedViolations(list []Violation) []Violation {
	list = list[:min(len(list), mostEntries)]
	for i := range list {
		list[i].Key, list[i].Rule, list[i].Message = cut(list[i].Key), cut(list[i].Rule), cut(list[i].Message)
	}
	return list
}

func cut(text string) string {
	if len(text) > longestEntry {
		return text[:longestEntry]
	}
	return text
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
