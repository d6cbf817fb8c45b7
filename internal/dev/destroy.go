package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/workers"
)

// Destroy removes the containers, mounts and data of the stopped platform in
// dir, and the directory itself unless it holds other files. It returns the
// paths of those files.
func Destroy(ctx context.Context, dir string) (left []string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", dir, err)
	}
	if !Exists(dir) {
		return nil, nil
	}
	if err := CheckDir(dir); err != nil {
		return nil, err
	}
	lock, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := removeContainers(ctx, dir); err != nil {
		return nil, fmt.Errorf("remove the containers: %w", err)
	}
	if err := parts.RemovePostgres(filepath.Join(dir, postgresDir)); err != nil {
		return nil, err
	}
	// One by one, to keep what the user has in the directory.
	for _, name := range []string{
		temporalDir, registryDir, postgresDir, podmanDir, buildsDir, tasksDir, nodeDir, edgeDir, keysDir, gatewayDir, identitiesDir,
		configName, urlName, infoName, machineName, settingsName, policyName, keysName, LogName, pidName, lockName,
	} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("remove the platform's data: %w", err)
		}
	}
	return leftIn(dir)
}

// leftIn removes dir if it is empty, and otherwise lists it.
func leftIn(dir string) (left []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the files that are left: %w", err)
	}
	for _, entry := range entries {
		left = append(left, filepath.Join(dir, entry.Name()))
	}
	if left == nil {
		err = os.Remove(dir)
	}
	return left, err
}

// removeContainers removes the containers that still run: all of a private
// podman, or in the machine's podman those of the services in the platform's
// registry.
func removeContainers(ctx context.Context, dir string) error {
	private := filepath.Join(dir, podmanDir)
	if _, err := os.Stat(private); err == nil {
		engine, err := parts.StartPodman(ctx, parts.PodmanOptions{Dir: private, Private: true})
		if err != nil {
			return err
		}
		return engine.Destroy()
	}
	file := filepath.Join(dir, configName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil // the platform was never ready
	}
	// Ignore the environment: it may configure another node.
	c, err := config.Load(file, func(string) string { return "" })
	if err != nil {
		return err
	}
	postgres, err := parts.StartPostgres(ctx, parts.PostgresOptions{Dir: filepath.Join(dir, postgresDir)})
	if err != nil {
		return err
	}
	defer postgres.Stop()
	return workers.RemoveContainers(ctx, postgres.URL(), c.Node.Socket)
}
