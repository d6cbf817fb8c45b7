package temporalserver

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// The databases of the server.
const (
	mainDB       = "temporal"
	visibilityDB = "temporal_visibility"
	plugin       = "postgres12"
)

// schemas maps each database to its embedded schema.
var schemas = map[string]string{
	mainDB:       "postgresql/v12/temporal",
	visibilityDB: "postgresql/v12/visibility",
}

// store is the Postgres server that has the databases.
type store struct{ host, port, user, password string }

func parseStore(address string) (store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return store{}, fmt.Errorf("parse the address of Postgres: %w", err)
	}
	password, _ := u.User.Password()
	return store{host: u.Hostname(), port: u.Port(), user: u.User.Username(), password: password}, nil
}

// prepare creates the databases and migrates their schemas. Each of its commands
// can be repeated.
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
			cmd.Env = append(os.Environ(), "SQL_PASSWORD="+s.password) // any user can read arguments
			if output, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s of database %s: %w: %s", args[0], db, err, strings.TrimSpace(string(output)))
			}
		}
	}
	return nil
}
