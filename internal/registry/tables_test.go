package registry_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/registry"
)

func TestTablesAreThoseThatTheMigrationsMake(t *testing.T) {
	_, address := newStore(t)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `select tablename::text from pg_tables where schemaname = current_schema() order by 1`)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, found, registry.Tables)
}

func TestTablesThatAreGoneAreNamed(t *testing.T) {
	store, address := newStore(t)
	require.NoError(t, store.CheckTables(t.Context()))
	exec(t, address, `drop table node_status, alerts`)
	err := store.CheckTables(t.Context())
	require.ErrorContains(t, err, "the database lacks tables of mcp's: alerts, node_status")
	require.True(t, fault.Is(err, fault.NotFound))

	exec(t, address, `drop table if exists `+strings.Join(registry.Tables, ", ")+` cascade`)
	require.ErrorContains(t, store.CheckTables(t.Context()), "the database has no table of mcp's")
}
