package temporalserver

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// The databases, with the embedded schema that each has.
const (
	mainDB       = "temporal"
	visibilityDB = "temporal_visibility"
	plugin       = "postgres12"
)

var schemas = map[string]string{
	mainDB:       "postgresql/v12/temporal",
	visibilityDB: "postgresql/v12/visibility",
}

// store is the Postgres that the server stores in.
type store struct{ host, port, user, password string }

func parseStore(address string) (store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return store{}, fmt.Errorf("parse the address of Postgres: %w", err)
	}
	password, _ := u.User.Password()
	return store{host: u.Hostname(), port: u.Port(), user: u.User.Username(), password: password}, nil
}

// prepare makes the databases and brings their schemas up to date. Each command
// does nothing where there is nothing to do.
func (s store) prepare(ctx context.Context, tool string) error {
	for db, schema := range schemas {
		for _, args := range [][]string{
			{"create"},
			{"setup-schema", "-v", "0.0"},
			{"update-schema", "--schema-name", schema},
		} {
			cmd := exec.CommandContext(ctx, tool, append([]string{
				"--plugin", plugin, "--endpoint", s.host, "--port", s.port, "--user", s.user, "--database", db,
			}, args...)...)
			cmd.Env = append(os.Environ(), "SQL_PASSWORD="+s.password) // arguments can be read by anybody
			if output, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s of database %s: %w: %s", args[0], db, err, strings.TrimSpace(string(output)))
			}
		}
	}
	return nil
}
