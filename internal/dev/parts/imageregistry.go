package parts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ImageRegistryOptions configure an image registry.
type ImageRegistryOptions struct {
	// Dir holds its configuration, its log and the pushed images.
	Dir string
	// Binary is the program "registry" of CNCF distribution.
	Binary string
	// Port is its port on 127.0.0.1; 0 means the last one used in Dir, or a
	// free one.
	Port int
}

// ImageRegistry is a running OCI image registry. It speaks plain http and asks
// for no credentials.
type ImageRegistry struct {
	*Process
	port int
}

// StartImageRegistry starts an image registry and waits until it answers. A
// second start in the same Dir finds the images that were pushed to the first.
func StartImageRegistry(ctx context.Context, o ImageRegistryOptions) (*ImageRegistry, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the image registry's directory: %w", err)
	}
	if err := makeDir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the image registry's directory: %w", err)
	}
	port, err := stickyPort(dir, "registry", o.Port)
	if err != nil {
		return nil, err
	}
	r := &ImageRegistry{port: port}
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, r.config(dir), 0o600); err != nil {
		return nil, fmt.Errorf("write the image registry's configuration: %w", err)
	}
	program, args := withoutOverrides(o.Binary, "serve", config)
	r.Process, err = Start(Command{
		Name: "image registry",
		Path: program,
		Args: args,
		// By default it sends traces to a collector on localhost.
		Env:     []string{"OTEL_TRACES_EXPORTER=none"},
		Dir:     dir,
		LogFile: filepath.Join(dir, "registry.log"),
	})
	if err != nil {
		return nil, err
	}
	answers := func(ctx context.Context) error { return ping(ctx, "http://"+r.Address()+"/v2/", nil) }
	if err := r.WaitReady(ctx, answers); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// Address returns "127.0.0.1:PORT", which the names of its images begin with.
func (r *ImageRegistry) Address() string { return loopback(r.port) }

func (r *ImageRegistry) config(dir string) []byte {
	return fmt.Appendf(nil, `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: %q
  delete:
    enabled: true
http:
  addr: %s
`, filepath.Join(dir, "data"), r.Address())
}

// withoutOverrides returns the command line that runs a program without the
// environment variables that distribution reads as parts of its configuration.
// One of them, REGISTRY_AUTH_FILE, which names podman's credentials, would keep
// it from starting.
func withoutOverrides(program string, args ...string) (string, []string) {
	return withoutVariables([]string{"REGISTRY_"}, program, args...)
}

// withoutVariables returns the command line that runs a program without the environment
// variables that have one of the prefixes.
func withoutVariables(prefixes []string, program string, args ...string) (string, []string) {
	var unset []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			unset = append(unset, "-u", name)
		}
	}
	if unset == nil {
		return program, args
	}
	return "/usr/bin/env", append(append(unset, program), args...)
}
