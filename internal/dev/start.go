package dev

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/dev/parts"
)

func (p *Platform) startTemporal(ctx context.Context) error {
	o := parts.TemporalOptions{Dir: p.path(temporalDir), Binary: p.temporal, Port: p.options.temporalPort, UIPort: p.options.UIPort, Codec: p.info.Codec, Unsafe: p.options.Unsafe}
	first, err := parts.StartTemporal(ctx, o)
	if err != nil {
		return err
	}
	p.keep("temporal", first, func(ctx context.Context) (part, error) { return parts.StartTemporal(ctx, o) })
	return nil
}

func (p *Platform) startImageRegistry(ctx context.Context) error {
	o := parts.ImageRegistryOptions{Dir: p.path(registryDir), Binary: p.registry, Port: p.options.RegistryPort}
	first, err := parts.StartImageRegistry(ctx, o)
	if err != nil {
		return err
	}
	o.Port = portOf(first.Address())
	p.keep("image registry", first, func(ctx context.Context) (part, error) { return parts.StartImageRegistry(ctx, o) })
	p.info.ImageRegistry = first.Address()
	return nil
}

func (p *Platform) startPostgres(ctx context.Context) error {
	o := parts.PostgresOptions{Dir: p.path(postgresDir), Port: portOf(p.former.Postgres), Unsafe: p.options.Unsafe}
	first, err := parts.StartPostgres(ctx, o)
	if err != nil {
		return err
	}
	address, err := url.Parse(first.URL())
	if err != nil {
		first.Stop()
		return fmt.Errorf("parse Postgres's address: %w", err)
	}
	o.Port = portOf(address.Host)
	p.keep("postgres", first, func(ctx context.Context) (part, error) { return parts.StartPostgres(ctx, o) })
	p.info.Postgres, p.postgresURL = address.Host, first.URL()
	return nil
}

// findPrograms finds the programs that make tools builds.
func (p *Platform) findPrograms() (err error) {
	if p.temporal, err = program(p.options.Programs, "temporal"); err != nil {
		return err
	}
	p.registry, err = program(p.options.Programs, "registry")
	return err
}

// program finds a program in dir or, failing that, in $PATH.
func program(dir, name string) (string, error) {
	if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find the program %s in %s or in $PATH (make tools builds it): %w", name, dir, err)
	}
	return path, nil
}

// portOf returns the port at the end of an address.
func portOf(address string) int {
	port, err := strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:])
	if err != nil {
		return 0 // any port
	}
	return port
}
