package parts

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// ImageRegistryOptions says how to run an image registry.
type ImageRegistryOptions struct {
	// Dir holds its configuration, its log and what is pushed to it.
	Dir string
	// Binary is CNCF distribution's program, "registry".
	Binary string
	// Port is where it listens on 127.0.0.1; 0 for the one it had last in
	// Dir, or a free one.
	Port int
}

// ImageRegistry is a running OCI image registry. It speaks plain http and asks
// for no credentials.
type ImageRegistry struct {
	*Process
	port int
}

// StartImageRegistry starts an image registry and waits until it answers. A
// second start in the same Dir finds what was pushed to the first.
func StartImageRegistry(ctx context.Context, o ImageRegistryOptions) (*ImageRegistry, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the image registry's directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
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
		// Left alone, it sends traces to a collector on localhost.
		Env:     []string{"OTEL_TRACES_EXPORTER=none"},
		Dir:     dir,
		LogFile: filepath.Join(dir, "registry.log"),
	})
	if err != nil {
		return nil, err
	}
	if err := r.WaitReady(ctx, r.ping); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// Address is "127.0.0.1:PORT", the first element of the names of its images.
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

// withoutOverrides runs a program without the environment variables that
// distribution takes for parts of its configuration. REGISTRY_AUTH_FILE, which
// tells podman where the credentials are, would keep it from starting.
func withoutOverrides(program string, args ...string) (string, []string) {
	var unset []string
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "REGISTRY_") {
			unset = append(unset, "-u", name)
		}
	}
	if unset == nil {
		return program, args
	}
	return "/usr/bin/env", append(append(unset, program), args...)
}

func (r *ImageRegistry) ping(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Address()+"/v2/", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /v2/: %s", response.Status)
	}
	return nil
}
