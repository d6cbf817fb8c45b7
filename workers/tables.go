package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman"
)

// Migrate migrates mcp's tables to the version that this program needs, and
// returns the versions before and after. Control workers do so when they start.
func Migrate(ctx context.Context, postgresURL string) (from, to int, err error) {
	return registry.Migrate(ctx, postgresURL)
}

// Resealed is what Reseal has done.
type Resealed = registry.Resealed

// Reseal encrypts what the registry has plain, or encrypted with another key than the
// current one; with decrypt it decrypts all of it.
func Reseal(ctx context.Context, postgresURL string, keys *keyring.Keys, decrypt bool) (Resealed, error) {
	store, err := registry.OpenSealed(ctx, postgresURL, keys)
	if err != nil {
		return Resealed{}, fmt.Errorf("open the registry: %w", err)
	}
	defer store.Close()
	return store.Reseal(ctx, decrypt)
}

// RemoveContainers removes from one podman the containers of every service in the
// registry, whichever deployment created them. It leaves all other containers
// alone.
func RemoveContainers(ctx context.Context, postgresURL, socket string) error {
	store, err := registry.Open(ctx, postgresURL)
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	defer store.Close()
	services, err := store.ServiceNames(ctx)
	if err != nil {
		return fmt.Errorf("list services: %w", err)
	}
	engine := podman.New(socket)
	var problems []error
	for _, service := range services {
		containers, err := engine.List(ctx, map[string]string{runtime.LabelService: service})
		problems = append(problems, err)
		for _, container := range containers {
			problems = append(problems, engine.Remove(ctx, container.Name))
		}
	}
	return errors.Join(problems...)
}
