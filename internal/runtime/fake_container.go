package runtime

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// Run creates and starts a container, unless an earlier call did.
func (f *Fake) Run(ctx context.Context, spec ContainerSpec) (string, error) {
	if err := f.enter(ctx, "Run", spec.Name); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.containers[spec.Name]
	if c != nil && spec.MatchesLabels(c.info.Labels) && !slices.Equal(c.info.Ports, spec.Published()) {
		delete(f.containers, spec.Name)
		c = nil
	}
	if c == nil {
		created, err := f.create(spec)
		if err != nil {
			return "", err
		}
		c = created
	}
	if !spec.MatchesLabels(c.info.Labels) {
		return "", fault.New(fault.Conflict, "create container %s: a container with that name exists", spec.Name)
	}
	if err := f.start(c); err != nil {
		delete(f.containers, spec.Name)
		return "", err
	}
	return c.info.ID, nil
}

func (f *Fake) create(spec ContainerSpec) (*fakeContainer, error) {
	image, found := f.images[spec.Image]
	if !found {
		return nil, fault.New(fault.NotFound, "create container %s from %s: image not known", spec.Name, spec.Image)
	}
	cmd := spec.Command
	if len(cmd) == 0 {
		cmd = image.cmd
	}
	program := f.Program(cmd)
	if program.Missing {
		return nil, fault.New(fault.Invalid, "start container %s: executable file %s not found", spec.Name, cmd[0])
	}
	if strings.Trim(spec.User, "0123456789:") != "" && spec.User != "root" {
		return nil, fault.New(fault.Invalid, "start container %s: unable to find user %s", spec.Name, spec.User)
	}
	needed := servicedef.Component{Secrets: spec.Secrets, SecretEnv: spec.SecretEnv}
	for _, name := range needed.SecretNames() {
		if err := f.hasSecret(name); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "create container %s", spec.Name)
		}
	}
	networks, err := f.connects(spec)
	if err != nil {
		return nil, err
	}
	f.serial++
	c := &fakeContainer{program: program, imageID: image.id, variables: slices.Sorted(maps.Values(spec.SecretEnv)), info: ContainerInfo{
		ID:    fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, spec.Name, f.serial))),
		Name:  spec.Name,
		Image: spec.Image, Digest: image.digest,
		State:  Created,
		Labels: maps.Clone(spec.Labels),
		Ports:  slices.Clone(spec.Published()), Networks: networks,
		Memory: spec.Memory, StopTimeout: (spec.StopTimeout + time.Second - 1).Truncate(time.Second),
	}}
	c.info.Addresses = map[string]netip.Addr{}
	for _, a := range spec.Networks {
		c.info.Addresses[a.Network] = a.Address
	}
	for _, volume := range spec.Volumes {
		source, _, _ := strings.Cut(volume, ":")
		c.info.Volumes = append(c.info.Volumes, source)
	}
	slices.Sort(c.info.Volumes)
	f.containers[spec.Name] = c
	return c, nil
}

// start starts a container unless it is running.
func (f *Fake) start(c *fakeContainer) error {
	if c.info.State == Running {
		return nil
	}
	for _, name := range c.variables {
		if err := f.hasSecret(name); err != nil {
			return fault.Wrap(fault.Invalid, err, "start container %s", c.info.Name)
		}
	}
	for _, port := range c.info.Ports {
		if f.taken[port.Host] || f.holds(port) {
			refused := fault.New(fault.PortInUse, "start container %s: host port %d is in use", c.info.Name, port.Host)
			refused.Port = port.Host
			return refused
		}
	}
	c.info.State, c.info.Started, c.info.ExitCode = Running, time.Now().UTC(), 0
	c.print(c.program.stream(), c.program.Output)
	if c.program.Exits {
		c.info.State, c.info.ExitCode, c.info.Finished = Stopped, c.program.ExitCode, time.Now().UTC()
	}
	return nil
}

// holds reports whether a running container publishes the port.
func (f *Fake) holds(port servicedef.Port) bool {
	for _, c := range f.containers {
		if c.info.State == Running && slices.ContainsFunc(c.info.Ports, func(other servicedef.Port) bool {
			return other.Host == port.Host && other.Protocol == port.Protocol
		}) {
			return true
		}
	}
	return false
}

// find returns the container with that name or id. The caller holds f.mu.
func (f *Fake) find(name string) (*fakeContainer, error) {
	if c := f.containers[name]; c != nil {
		return c, nil
	}
	for _, c := range f.containers {
		if c.info.ID == name {
			return c, nil
		}
	}
	return nil, fault.New(fault.NotFound, "inspect container %s: no container with that name", name)
}

// with calls do with one container, under the lock.
func (f *Fake) with(ctx context.Context, method, name string, do func(*fakeContainer) error) error {
	if err := f.enter(ctx, method, name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(name)
	if err != nil {
		return err
	}
	return do(c)
}

// Start starts a stopped container.
func (f *Fake) Start(ctx context.Context, name string) error {
	return f.with(ctx, "Start", name, f.start)
}

// Stop stops a container. A stubborn one is killed at once; so only the stop of a program
// that takes time to end can be interrupted.
func (f *Fake) Stop(ctx context.Context, name string, _ time.Duration) error {
	var stopping *fakeContainer
	err := ignoreMissing(f.with(ctx, "Stop", name, func(c *fakeContainer) error {
		if c.info.State != Running {
			return nil
		}
		if c.program.Ending > 0 {
			c.info.State, stopping = Other, c
			return nil
		}
		c.stop()
		return nil
	}))
	if err != nil || stopping == nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", name, ctx.Err())
	case <-time.After(stopping.program.Ending):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	stopping.print(stopping.program.stream(), stopping.program.Last)
	stopping.stop()
	return nil
}

// stop records that the program has ended on a stop.
func (c *fakeContainer) stop() {
	c.info.State, c.info.ExitCode, c.info.Finished = Stopped, 0, time.Now().UTC()
	if c.program.Stubborn {
		c.info.ExitCode = 137
	}
}

// Remove removes a container.
func (f *Fake) Remove(ctx context.Context, name string) error {
	return ignoreMissing(f.with(ctx, "Remove", name, func(c *fakeContainer) error {
		delete(f.containers, c.info.Name)
		return nil
	}))
}

func ignoreMissing(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Rename gives a container another name.
func (f *Fake) Rename(ctx context.Context, from, to string) error {
	return f.with(ctx, "Rename", from, func(c *fakeContainer) error {
		if c.info.Name == to {
			return nil
		}
		if f.containers[to] != nil {
			return fault.New(fault.Conflict, "rename container %s to %s: name is already in use", from, to)
		}
		delete(f.containers, c.info.Name)
		c.info.Name = to
		f.containers[to] = c
		return nil
	})
}

// Inspect describes one container.
func (f *Fake) Inspect(ctx context.Context, name string) (ContainerInfo, error) {
	var info ContainerInfo
	err := f.with(ctx, "Inspect", name, func(c *fakeContainer) error {
		info = c.copyInfo()
		return nil
	})
	return info, err
}

// copyInfo returns a description that shares nothing with the container.
func (c *fakeContainer) copyInfo() ContainerInfo {
	info := c.info
	info.Labels, info.Ports, info.Volumes = maps.Clone(info.Labels), slices.Clone(info.Ports), slices.Clone(info.Volumes)
	return info
}

// List describes the containers that have the labels, sorted by name.
func (f *Fake) List(ctx context.Context, labels map[string]string) ([]ContainerInfo, error) {
	if err := f.enter(ctx, "List", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.selected(Selection{Labels: labels}), nil
}

// Summaries describes the selected containers briefly, sorted by name.
func (f *Fake) Summaries(ctx context.Context, s Selection) ([]ContainerSummary, error) {
	if err := f.enter(ctx, "Summaries", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	summaries := []ContainerSummary{}
	for _, info := range f.selected(s) {
		summaries = append(summaries, info.Summary())
	}
	return summaries, nil
}

// selected describes the selected containers, sorted by name. The caller holds
// f.mu.
func (f *Fake) selected(s Selection) []ContainerInfo {
	infos := []ContainerInfo{}
	for _, c := range f.containers {
		if s.Selects(c.info.Name, c.info.Labels) {
			infos = append(infos, c.copyInfo())
		}
	}
	slices.SortFunc(infos, func(a, b ContainerInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos
}

// Lacks returns what SetLacks was given for the keys that the container sets.
func (f *Fake) Lacks(ctx context.Context, spec ContainerSpec) ([]Lack, error) {
	if err := f.enter(ctx, "Lacks", spec.Name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []Lack
	for _, lack := range f.lacks {
		if _, set := spec.Container.Settings()[lack.Key]; set {
			found = append(found, lack)
		}
	}
	return found, nil
}

// SetLacks sets what the engine lacks.
func (f *Fake) SetLacks(lacks ...Lack) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lacks = lacks
}
