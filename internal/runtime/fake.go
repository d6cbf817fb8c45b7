package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// Fake is a container engine in memory. It passes the same contract test as
// podman. Set its exported fields before the first call. It is safe for
// concurrent use.
type Fake struct {
	// Before is called at the start of each method, with the method's name and
	// the name of the image or container. The method returns its error; sleep
	// in it to simulate a slow engine.
	Before func(method, name string) error
	// Program determines what a command does in a container, a build or an
	// exec; TestProgram unless it is replaced.
	Program func(cmd []string) FakeProgram
	// Registry is the image registry that Push and Pull use. Several engines
	// may share one.
	Registry *FakeRegistry

	mu         sync.Mutex
	down       bool
	calls      []FakeCall
	images     map[string]fakeImage // by reference
	containers map[string]*fakeContainer
	taken      map[int]bool // host ports held by another program
	secrets    map[string]fakeSecret
	networks   map[string]NetworkInfo
	subnets    byte // how many it has chosen
	lacks      []Lack
	serial     int
}

var _ Runtime = (*Fake)(nil)

// FakeCall is a call that a Fake has received.
type FakeCall struct{ Method, Name string }

type fakeContainer struct {
	info    ContainerInfo
	imageID string
	program FakeProgram
	output  []LogLine
	// variables are the secrets that it has as variables: the engine reads them at each start.
	variables []string
}

// NewFake returns an empty engine with a separate image registry.
func NewFake() *Fake {
	return &Fake{
		Program:    TestProgram,
		Registry:   NewFakeRegistry("registry.test:5000"),
		images:     map[string]fakeImage{},
		containers: map[string]*fakeContainer{},
		taken:      map[int]bool{},
		networks:   map[string]NetworkInfo{},
		secrets:    map[string]fakeSecret{},
	}
}

// AddImages adds images to local storage.
func (f *Fake) AddImages(references ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, reference := range references {
		f.images[reference] = newFakeImage(reference, nil)
	}
}

// SetDown makes the engine unreachable, or reachable again. Its containers
// keep running.
func (f *Fake) SetDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// TakePort occupies a host port, as another program on the host would.
func (f *Fake) TakePort(port int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken[port] = true
}

// Print prints lines, all at one time, on a container's standard output.
func (f *Fake) Print(name string, lines ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[name]; c != nil {
		c.print("stdout", lines)
	}
}

// Relaunch makes a container's program end and begin again, as its restart policy may.
func (f *Fake) Relaunch(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[name]; c != nil {
		c.info.Restarts++
	}
}

// Exit makes a running container exit, as when its program ends.
func (f *Fake) Exit(name string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[name]; c != nil {
		c.info.State, c.info.ExitCode, c.info.Finished = Stopped, code, time.Now().UTC()
	}
}

// Calls returns the calls so far, in order.
func (f *Fake) Calls() []FakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Version returns a constant.
func (f *Fake) Version(ctx context.Context) (string, error) {
	if err := f.enter(ctx, "Version", ""); err != nil {
		return "", err
	}
	return "fake 1.0", nil
}

// Info returns constants.
func (f *Fake) Info(ctx context.Context) (EngineInfo, error) {
	if err := f.enter(ctx, "Info", ""); err != nil {
		return EngineInfo{}, err
	}
	return EngineInfo{Version: "fake 1.0", Storage: "/", Network: "netavark", Cgroups: "v2"}, nil
}

// enter records a call and returns the error with which it has to fail, if any.
func (f *Fake) enter(ctx context.Context, method, name string) error {
	f.mu.Lock()
	f.calls = append(f.calls, FakeCall{Method: method, Name: name})
	down := f.down
	f.mu.Unlock()
	if f.Before != nil {
		if err := f.Before(method, name); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", strings.ToLower(method), name, err)
	}
	if down {
		return fault.New(fault.Unavailable, "%s %s: the engine at fake.sock does not answer", strings.ToLower(method), name)
	}
	return nil
}

// print appends lines to the container's output.
func (c *fakeContainer) print(stream string, lines []string) {
	now := time.Now().UTC()
	for _, text := range lines {
		c.output = append(c.output, LogLine{Time: now, Stream: stream, Text: text[:min(len(text), MaxLogLine)]})
	}
}
