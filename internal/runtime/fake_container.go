package runtime

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// Run creates and starts a container, or finds that it did so before.
func (f *Fake) Run(ctx context.Context, spec ContainerSpec) (string, error) {
	if err := f.enter(ctx, "Run", spec.Name); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.containers[spec.Name]
	if c != nil && sameLabels(c.info.Labels, spec.Labels) && !slices.Equal(c.info.Ports, publishedBy(spec)) {
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
	if !sameLabels(c.info.Labels, spec.Labels) {
		return "", fault.New(fault.Conflict, "create container %s: a container of that name exists", spec.Name)
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
	for _, name := range append(slices.Collect(maps.Values(spec.SecretEnv)), spec.Secrets...) {
		if !slices.Contains(f.secrets, name) {
			return nil, fault.New(fault.Invalid, "create container %s: no such secret: %s", spec.Name, name)
		}
	}
	f.serial++
	c := &fakeContainer{program: program, imageID: image.id, info: ContainerInfo{
		ID:    fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, spec.Name, f.serial))),
		Name:  spec.Name,
		Image: spec.Image, Digest: image.digest,
		State:  Created,
		Labels: maps.Clone(spec.Labels),
		Ports:  slices.Clone(publishedBy(spec)),
	}}
	for _, volume := range spec.Volumes {
		source, _, _ := strings.Cut(volume, ":")
		c.info.Volumes = append(c.info.Volumes, source)
	}
	slices.Sort(c.info.Volumes)
	f.containers[spec.Name] = c
	return c, nil
}

func sameLabels(a, b map[string]string) bool {
	return a[LabelDeployment] == b[LabelDeployment] && a[LabelSpec] == b[LabelSpec]
}

// publishedBy are the ports that a container of that spec publishes.
func publishedBy(spec ContainerSpec) []servicedef.Port {
	if spec.Network == "host" || spec.Network == "none" {
		return nil
	}
	return spec.Ports
}

// start starts a container unless it runs.
func (f *Fake) start(c *fakeContainer) error {
	if c.info.State == Running {
		return nil
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
		c.info.State, c.info.ExitCode = Stopped, c.program.ExitCode
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

// find returns the container with that name or id. The caller has the lock.
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

// with does something with one container, under the lock.
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

// Stop stops a container; a stubborn one is killed at once, so no Stop is ever
// cut off.
func (f *Fake) Stop(ctx context.Context, name string, _ time.Duration) error {
	return ignoreMissing(f.with(ctx, "Stop", name, func(c *fakeContainer) error {
		if c.info.State != Running {
			return nil
		}
		c.info.State, c.info.ExitCode = Stopped, 0
		if c.program.Stubborn {
			c.info.ExitCode = 137
		}
		return nil
	}))
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

// copyInfo is the container's description, to keep.
func (c *fakeContainer) copyInfo() ContainerInfo {
	info := c.info
	info.Labels, info.Ports, info.Volumes = maps.Clone(info.Labels), slices.Clone(info.Ports), slices.Clone(info.Volumes)
	return info
}

// List describes the containers that bear the labels, by name.
func (f *Fake) List(ctx context.Context, labels map[string]string) ([]ContainerInfo, error) {
	if err := f.enter(ctx, "List", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.selected(Selection{Labels: labels}), nil
}

// Summaries are what List tells, in short.
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

// selected are the selection's containers, by name; the caller has the lock.
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

// print adds lines to the container's output.
func (c *fakeContainer) print(stream string, lines []string) {
	now := time.Now().UTC()
	for _, text := range lines {
		c.output = append(c.output, LogLine{Time: now, Stream: stream, Text: text[:min(len(text), MaxLogLine)]})
	}
}

// stream is where the program prints.
func (p FakeProgram) stream() string {
	if p.Complains {
		return "stderr"
	}
	return "stdout"
}

// Logs gives each the lines of a container's output.
func (f *Fake) Logs(ctx context.Context, name string, q LogQuery, each func(LogLine) bool) error {
	var all []LogLine
	id, running := "", false
	read := func(c *fakeContainer) error {
		all, running, id = slices.Clone(c.output), c.info.State == Running, c.info.ID
		return nil
	}
	if err := f.with(ctx, "Logs", name, read); err != nil {
		return err
	}
	given := 0
	if q.Tail > 0 {
		given = max(0, len(all)-q.Tail)
		for given > 0 && all[given].Time.Equal(all[given-1].Time) {
			given--
		}
	}
	for {
		for _, line := range all[given:] {
			if !line.Time.Before(q.Since) && !each(line) {
				return nil
			}
		}
		given = len(all)
		if !q.Follow || !running {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("logs %s: %w", name, ctx.Err())
		case <-time.After(time.Millisecond):
		}
		f.mu.Lock()
		c, err := f.find(id)
		if err == nil {
			_ = read(c) // it never fails
		}
		f.mu.Unlock()
		if err != nil {
			return nil // it was removed, and so runs no more
		}
	}
}

// Exec asks Program what a command does in a running container.
func (f *Fake) Exec(ctx context.Context, name string, cmd []string) (ExecResult, error) {
	err := f.with(ctx, "Exec", name, func(c *fakeContainer) error {
		if c.info.State != Running {
			return fault.New(fault.Unhealthy, "run a command in %s: the container does not run", name)
		}
		return nil
	})
	if err != nil {
		return ExecResult{}, err
	}
	program := f.Program(cmd)
	if program.Missing {
		return ExecResult{}, fault.New(fault.Invalid, "run %s in %s: executable file not found", cmd[0], name)
	}
	if err := program.await(ctx); err != nil {
		return ExecResult{}, fmt.Errorf("run %s in %s: %w", cmd[0], name, err)
	}
	result := ExecResult{ExitCode: program.ExitCode}
	for _, line := range program.Output {
		result.Print(program.Complains, []byte(line+"\n"))
	}
	return result, nil
}
