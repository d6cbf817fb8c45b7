package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
)

// Fake is a container engine in memory. It passes the contract test that
// podman passes; what its containers do is up to Program. The exported fields
// are set before the first call. It may be used by several goroutines.
type Fake struct {
	// Before is called first in each method, with the method's name and that
	// of the image or container. Its error is the method's; a slow engine
	// sleeps in it.
	Before func(method, name string) error
	// Program says what a command does, in a container, a build or an exec.
	Program func(cmd []string) FakeProgram
	// Registry is the image registry that Push and Pull speak to; one may be
	// shared by several engines.
	Registry *FakeRegistry

	mu         sync.Mutex
	down       bool
	calls      []FakeCall
	images     map[string]fakeImage // by reference
	containers map[string]*fakeContainer
	taken      map[int]bool // host ports held by something else
	secrets    []string
	serial     int
}

var _ Runtime = (*Fake)(nil)

// FakeCall is one call that a Fake has got.
type FakeCall struct{ Method, Name string }

type fakeImage struct {
	id, digest string
	cmd        []string
}

type fakeContainer struct {
	info    ContainerInfo
	imageID string
	program FakeProgram
	output  []LogLine
}

// NewFake returns an empty engine with an image registry of its own.
func NewFake() *Fake {
	return &Fake{
		Program:    TestProgram,
		Registry:   NewFakeRegistry("registry.test:5000"),
		images:     map[string]fakeImage{},
		containers: map[string]*fakeContainer{},
		taken:      map[int]bool{},
	}
}

// AddImages puts images into local storage.
func (f *Fake) AddImages(references ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, reference := range references {
		f.images[reference] = newFakeImage(reference, nil)
	}
}

// AddSecret has the engine keep a secret.
func (f *Fake) AddSecret(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets = append(f.secrets, name)
}

// Secrets are those that it was given.
func (f *Fake) Secrets(ctx context.Context) ([]string, error) {
	if err := f.enter(ctx, "Secrets", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.secrets), nil
}

// SetDown makes the engine unreachable, or reachable again. Its containers
// run on.
func (f *Fake) SetDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// TakePort makes something else than a container hold a host port.
func (f *Fake) TakePort(port int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken[port] = true
}

// Print makes a container print lines, at one time, on its standard output.
func (f *Fake) Print(name string, lines ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[name]; c != nil {
		c.print("stdout", lines)
	}
}

// Exit makes a running container exit by itself.
func (f *Fake) Exit(name string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[name]; c != nil {
		c.info.State, c.info.ExitCode = Stopped, code
	}
}

// Calls are the calls so far, in order.
func (f *Fake) Calls() []FakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Version is the fake's name.
func (f *Fake) Version(ctx context.Context) (string, error) {
	if err := f.enter(ctx, "Version", ""); err != nil {
		return "", err
	}
	return "fake 1.0", nil
}

// Info is the fake's.
func (f *Fake) Info(ctx context.Context) (EngineInfo, error) {
	if err := f.enter(ctx, "Info", ""); err != nil {
		return EngineInfo{}, err
	}
	return EngineInfo{Version: "fake 1.0", Storage: "/", Network: "netavark", Cgroups: "v2"}, nil
}

// enter records a call and decides whether it can go on.
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

// FakeProgram is what a command does. The zero one runs until it is stopped.
type FakeProgram struct {
	// Missing: there is no such command.
	Missing bool
	// Exits: it ends at once, with ExitCode.
	Exits    bool
	ExitCode int
	// Hangs: a build or an exec of it goes on until its context ends.
	Hangs bool
	// Stubborn: it does not stop, but has to be killed.
	Stubborn bool
	// Output is what it prints; Complains: on its standard error.
	Output    []string
	Complains bool
}

// TestProgram is what the contract test's program does, and is found at
// "/app". No other absolute path exists; a command without a path runs until
// it is stopped.
func TestProgram(cmd []string) FakeProgram {
	if len(cmd) < 2 || cmd[0] != "/app" {
		return FakeProgram{Missing: len(cmd) > 0 && strings.HasPrefix(cmd[0], "/") && cmd[0] != "/app"}
	}
	switch verb, args := cmd[1], cmd[2:]; verb {
	case "exit":
		program := FakeProgram{Exits: true, Output: []string{"exiting with " + args[0]}, Complains: true}
		_, _ = fmt.Sscan(args[0], &program.ExitCode)
		return program
	case "echo":
		return FakeProgram{Exits: true, Output: args}
	case "print":
		return FakeProgram{Output: args}
	case "sleep", "shout":
		return FakeProgram{Hangs: true}
	case "stubborn":
		return FakeProgram{Stubborn: true, Output: []string{"stubborn"}}
	}
	return FakeProgram{}
}

// await waits out a hanging program.
func (p FakeProgram) await(ctx context.Context) error {
	if !p.Hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}
