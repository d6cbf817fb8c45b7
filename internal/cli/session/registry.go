package session

import (
	"fmt"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/workers"
)

// RegistryURL returns the address of the registry for the workers. One that leads to
// another machine without encryption is an error that names the file and the key.
func RegistryURL(cfg *config.Config) (string, error) {
	url, err := cfg.PostgresURL()
	if err != nil {
		return "", err
	}
	key := "postgres.url"
	if cfg.Postgres.URLFile != "" {
		key = "postgres.url_file"
	}
	return url, checkedURL(cfg, key, url)
}

// OwnerURL is RegistryURL for the owner of the tables.
func OwnerURL(cfg *config.Config) (string, error) {
	if cfg.Postgres.OwnerURLFile == "" {
		return RegistryURL(cfg)
	}
	url, err := cfg.OwnerURL()
	if err != nil {
		return "", err
	}
	return url, checkedURL(cfg, "postgres.owner_url_file", url)
}

func checkedURL(cfg *config.Config, key, url string) error {
	if err := workers.CheckPostgres(url, cfg.Postgres.Insecure); err != nil {
		from := "the environment"
		if cfg.File() != "" {
			from = cfg.File()
		}
		return fmt.Errorf("%s: %s: %w", from, key, err)
	}
	return nil
}
