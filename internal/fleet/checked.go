package fleet

import (
	"cmp"
	"math"
	"slices"

	"github.com/metacircular/mcp/servicedef"
)

// Checked returns a container with only values that it can have. Labels that mcp
// cannot have written do not count as mcp's.
func (c Container) Checked() Container {
	if !servicedef.IsLabel(c.Service) {
		c.Service, c.Component, c.Deployment, c.Run, c.Spec, c.Task = "", "", 0, "", "", Task{}
	}
	c.Task = c.Task.checked()
	if !servicedef.IsLabel(c.Component) {
		c.Component = ""
	}
	c.Name, c.ID, c.Run, c.Spec = word(c.Name), word(c.ID), word(c.Run), word(c.Spec)
	c.State, c.Health = word(c.State), word(c.Health)
	c.Unnamed = Text(c.Unnamed, maxText)
	c.Image, c.Digest = Text(c.Image, maxText), Text(c.Digest, maxText)
	c.Deployment = max(0, c.Deployment)
	c.ExitCode = within(c.ExitCode, -maxCount, maxCount)
	c.Restarts = within(c.Restarts, 0, maxCount)
	c.Started = moment(c.Started)
	c.UptimeSeconds = max(0, c.UptimeSeconds)
	c.Ports = slices.Clone(c.Ports[:min(len(c.Ports), maxPorts)])
	for i := range c.Ports {
		p := &c.Ports[i]
		p.IP, p.Protocol = word(p.IP), word(p.Protocol)
		p.Host, p.Container = within(p.Host, 0, MaxPort), within(p.Container, 0, MaxPort)
	}
	return c
}

// CheckedContainers returns the containers of a node with only values that they can
// have: each has a name and an id, and no two have the same.
func CheckedContainers(containers []Container) []Container {
	names, ids := map[string]bool{}, map[string]bool{}
	var checked []Container
	for _, c := range containers {
		c = c.Checked()
		if c.Name == "" || names[c.Name] || c.ID != "" && ids[c.ID] || len(checked) == maxContainers {
			continue
		}
		names[c.Name], ids[c.ID] = true, true
		checked = append(checked, c)
	}
	return checked
}

// Checked returns an observation with only values that it can have.
func (o Observation) Checked() Observation {
	o.Problem = Text(o.Problem, maxText)
	o.Containers = CheckedContainers(o.Containers)
	if o.Status != nil {
		status := o.Status.checked()
		o.Status = &status
	}
	if o.Policy != nil {
		rules := o.Policy.Checked()
		o.Policy = &rules
	}
	return o
}

// checked returns a status with only values that it can have.
func (s NodeStatus) checked() NodeStatus {
	for _, text := range []*string{
		&s.Hostname, &s.Kernel, &s.Arch, &s.Storage, &s.Network, &s.Cgroups, &s.Runtime, &s.MCP,
	} {
		*text = Text(*text, maxText)
	}
	s.EphemeralLow, s.EphemeralHigh = within(s.EphemeralLow, 0, MaxPort), within(s.EphemeralHigh, 0, MaxPort)
	s.UptimeSeconds = max(0, s.UptimeSeconds)
	s.CPUPercent = within(s.CPUPercent, 0, 100)
	s.Load = slices.Clone(s.Load[:min(len(s.Load), 3)])
	for i := range s.Load {
		s.Load[i] = within(s.Load[i], 0, maxFigure)
	}
	s.Memory, s.Disk = s.Memory.checked(), s.Disk.checked()
	s.Disks = slices.Clone(s.Disks[:min(len(s.Disks), maxName)])
	slices.SortStableFunc(s.Disks, func(a, b Disk) int { return cmp.Compare(a.Path, b.Path) })
	for i := range s.Disks {
		s.Disks[i] = Disk{Path: Text(s.Disks[i].Path, maxText), Usage: s.Disks[i].checked()}
	}
	s.Disks = slices.CompactFunc(s.Disks, func(a, b Disk) bool { return a.Path == b.Path })
	s.Disks = slices.DeleteFunc(s.Disks, func(d Disk) bool { return d.Path == "" })
	s.Containers, s.Running = within(s.Containers, 0, maxCount), within(s.Running, 0, maxCount)
	return s
}

// checked returns a usage of which no more is used than there is.
func (u Usage) checked() Usage {
	u.Total = min(u.Total, math.MaxInt64)
	u.Used = min(u.Used, u.Total)
	return u
}

// Checked returns a node's record with only values that it can have.
func (r NodeRecord) Checked() NodeRecord {
	r.Address, r.Runtime, r.Version, r.Boot = word(r.Address), word(r.Runtime), word(r.Version), word(r.Boot)
	r.Seen = moment(r.Seen)
	return r
}

// Checked returns a claim with only values that it can have.
func (c Claim) Checked() Claim {
	c.Address, c.Machine, c.Key = word(c.Address), c.Machine.checked(), word(c.Key)
	var signers []string
	for _, signer := range c.Signers[:min(len(c.Signers), maxSigners)] {
		signers = append(signers, word(signer))
	}
	c.Signers = signers
	return c
}

// maxSigners bounds the signers that a node trusts.
const maxSigners = 100

func (m Machine) checked() Machine {
	return Machine{ID: word(m.ID), Boot: word(m.Boot), Hostname: word(m.Hostname)}
}
