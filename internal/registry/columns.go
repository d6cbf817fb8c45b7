package registry

import (
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// nullTime returns a time, or null for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// nonNil returns a list that is never null to Postgres, as a nil slice would be.
func nonNil(names []string) []string { return append([]string{}, names...) }

// some returns a map that is not empty, or an empty one if m is nil, as json needs it.
func some(m map[int]int) map[int]int {
	if m == nil {
		return map[int]int{}
	}
	return m
}

// versionColumns returns versions as columns.
func versionColumns(of map[string]int64) (services []string, versions []int64) {
	services, versions = []string{}, []int64{}
	for service, version := range of {
		services, versions = append(services, service), append(versions, version)
	}
	return services, versions
}

// texts applies held to each text.
func texts(list []string) []string {
	texts := make([]string, 0, len(list))
	for _, text := range list {
		texts = append(texts, held(text))
	}
	return texts
}

// held returns a text that a node may have written, as Postgres can hold it.
func held(text string) string { return fleet.Text(text, maxMessage) }

// maxMessage bounds a text of a deployment or an event, in bytes: a node may have written it.
const maxMessage = 16 << 10
