package local

import (
	"fmt"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/workers"
)

// registryURL is the address of the registry for the workers. One that leads to another
// machine without encryption is an error that names the file and the key.
func registryURL(cfg *config.Config) (string, error) {
	url, err := cfg.PostgresURL()
	if err != nil {
		return "", err
	}
	key := "postgres.url"
	if cfg.Postgres.URLFile != "" {
		key = "postgres.url_file"
	}
	return url, checked(cfg, key, url)
}

// ownerURL is registryURL for the owner of the tables.
func ownerURL(cfg *config.Config) (string, error) {
	if cfg.Postgres.OwnerURLFile == "" {
		return registryURL(cfg)
	}
	url, err := cfg.OwnerURL()
	if err != nil {
		return "", err
	}
	return url, checked(cfg, "postgres.owner_url_file", url)
}

func checked(cfg *config.Config, key, url string) error {
	if err := workers.CheckPostgres(url, cfg.Postgres.Insecure); err != nil {
		from := "the environment"
		if cfg.File() != "" {
			from = cfg.File()
		}
		return fmt.Errorf("%s: %s: %w", from, key, err)
	}
	return nil
}
