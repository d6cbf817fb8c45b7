package servicedef

import (
	"strings"

	"github.com/docker/go-units"

	"github.com/metacircular/mcp/servicedef/linux"
)

// ShmBytes returns the size that ShmSize sets, 0 if it sets none.
func (c Container) ShmBytes() int64 {
	size, err := units.RAMInBytes(c.ShmSize)
	if err != nil {
		return 0
	}
	return size
}

// SecurityOption splits an option of security: "seccomp=unconfined", or with Docker's
// colon. No-new-privileges alone has the value "true".
func SecurityOption(text string) (name, value string) {
	name, value = text, ""
	if i := strings.IndexAny(text, "=:"); i >= 0 {
		name, value = text[:i], text[i+1:]
	}
	switch text {
	case "no-new-privileges":
		value = "true"
	case "systempaths=unconfined":
		name, value = "unmask", linux.AllCapabilities
	}
	return name, value
}

// hostGateway stands for the address of the node.
const hostGateway = "host-gateway"

// ExtraHost splits "name:address", whose address may be in brackets; "=" separates, too.
func ExtraHost(text string) (name, address string) {
	if i := strings.IndexAny(text, ":="); i >= 0 {
		name, address = text[:i], text[i+1:]
	}
	if strings.HasPrefix(address, "[") {
		address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	return name, address
}

// cdiName matches the qualified name of a device of the Container Device Interface.
var cdiName = pattern(`^[a-zA-Z0-9][a-zA-Z0-9.-]*/[a-zA-Z0-9][a-zA-Z0-9_-]*=[a-zA-Z0-9][a-zA-Z0-9_.:-]*$`)

// IsCDI reports whether a device is the name of one of the Container Device Interface,
// "nvidia.com/gpu=all".
func IsCDI(device string) bool { return matches(cdiName, device) }

// GPUDevices returns the names of the GPUs as devices of the Container Device Interface.
func (c Container) GPUDevices() []string {
	var names []string
	for _, gpu := range c.GPUs {
		names = append(names, "nvidia.com/gpu="+gpu)
	}
	return names
}
