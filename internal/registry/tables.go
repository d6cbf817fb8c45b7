package registry

import (
	"context"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/fault"
)

// Tables are the names of the registry's tables, which its migrations create.
var Tables = tablesOf(migrations)

// statement matches a statement that creates a table or drops some.
var statement = regexp.MustCompile(`(?mi)^(create|drop) table (?:if (?:not )?exists )?(\w+(?:, *\w+)*)`)

// tablesOf returns the names of the tables that are there after all migrations.
func tablesOf(files fs.FS) []string {
	paths, err := fs.Glob(files, "migrations/*.sql") // sorted: in the order of their numbers
	if err != nil {
		panic(err) // the pattern is a constant
	}
	tables := []string{versionTable}
	for _, path := range paths {
		text, err := fs.ReadFile(files, path)
		if err != nil {
			panic(err) // the files are part of the program
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, m := range statement.FindAllStringSubmatch(up, -1) {
			names := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
			if strings.EqualFold(m[1], "create") {
				tables = append(tables, names...)
			} else {
				tables = slices.DeleteFunc(tables, func(name string) bool { return slices.Contains(names, name) })
			}
		}
	}
	slices.Sort(tables)
	return tables
}

// CheckTables fails if any of the registry's tables is missing, or older than this
// program needs.
func (s *Store) CheckTables(ctx context.Context) error {
	const doing = "look for the registry's tables"
	rows, err := s.pool.Query(ctx, `select name from unnest($1::text[]) name where to_regclass(quote_ident(name)) is null order by name`, Tables)
	if err != nil {
		return translate(ctx, err, true, doing)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return translate(ctx, err, true, doing)
	}
	switch {
	case len(missing) == len(Tables):
		return fault.New(fault.NotFound, "the database has no table of mcp's").
			WithHint("restore a dump of it; to begin with nothing, restart the control worker or run mcp migrate, which make the tables")
	case len(missing) > 0:
		return fault.New(fault.NotFound, "the database lacks tables of mcp's: %s", strings.Join(missing, ", ")).
			WithHint("restore a dump of it; to begin with nothing, create the database anew and run mcp migrate")
	}
	has, needs, err := s.Schema(ctx)
	if err == nil && has < needs {
		err = fault.New(fault.Conflict, "the registry's tables are at version %d, and this mcp needs %d", has, needs).
			WithHint("run mcp migrate, or restart the control worker, which does it too")
	}
	return err
}
