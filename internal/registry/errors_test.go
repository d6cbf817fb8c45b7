package registry

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
)

func TestAFullDiskOfPostgresIsDiskFull(t *testing.T) {
	full := &pgconn.PgError{Code: "53100", Message: "could not extend file: No space left on device"}
	found := fault.Of(translate(t.Context(), full, false, "begin deployment of %s", "shop"))
	require.Equal(t, fault.DiskFull, found.Kind)
	require.Contains(t, found.Hint, "disk of Postgres")
	connections := &pgconn.PgError{Code: "53300", Message: "too many connections"}
	require.Equal(t, fault.Unavailable, fault.Of(translate(t.Context(), connections, false, "begin")).Kind)
}
