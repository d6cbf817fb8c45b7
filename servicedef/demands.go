package servicedef

import "strings"

// Demands returns the component with only the settings that not every engine can apply
// and the networks that must exist, to ask a node's engine about them, and whether
// there are any. Contents of files and values that may be secret are left out.
func (c Component) Demands() (wanted Component, some bool) {
	from := c.Container
	wanted = Component{Name: c.Name, Memory: c.Memory, CPUs: c.CPUs, Container: Container{
		Ulimits: from.Ulimits, Init: from.Init, CapAdd: from.CapAdd, SecurityOpt: from.SecurityOpt, PidsLimit: from.PidsLimit,
		Sysctls: from.Sysctls, Devices: from.Devices, GPUs: from.GPUs, Userns: from.Userns, LogDriver: from.LogDriver,
	}}
	for _, text := range from.ExtraHosts {
		if _, address := ExtraHost(text); address == hostGateway {
			wanted.ExtraHosts = append(wanted.ExtraHosts, text)
		}
	}
	for _, f := range from.Files {
		wanted.Files = append(wanted.Files, File{Target: f.Target, UID: f.UID, GID: f.GID})
	}
	for _, network := range c.Joined() {
		if !strings.HasPrefix(network.Name, servicePrefix) { // mcp makes those
			wanted.Networks = append(wanted.Networks, NetworkRef{Name: network.Name})
		}
	}
	return wanted, len(wanted.Settings())+len(wanted.Networks) > 0
}
