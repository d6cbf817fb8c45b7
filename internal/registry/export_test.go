package registry

import (
	"context"
	"time"
)

// Setting is a setting of the store's connections.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.pool.QueryRow(ctx, "select current_setting($1)", name).Scan(&value)
	return value, err
}

// WithBound sets how long a transaction may take.
func (s *Store) WithBound(longest time.Duration) *Store {
	s.longest = longest
	return s
}
