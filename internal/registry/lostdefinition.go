package registry

import (
	"errors"
	"fmt"

	"github.com/metacircular/mcp/internal/fault"
)

// lostDefinition reports that a definition was lost with the key that had encrypted it.
type lostDefinition struct{ service, key string }

func (e *lostDefinition) Error() string {
	return fmt.Sprintf("the definition of %s is lost with encryption key %s", e.service, e.key)
}

// unlessLost returns err without the report of a lost definition, and the name of its key.
func unlessLost(err error) (key string, _ error) {
	var lost *lostDefinition
	if errors.As(err, &lost) {
		return lost.key, nil
	}
	return "", err
}

// lostRelease is the fault of a release whose definition is lost.
func lostRelease(service string, number int, key string) error {
	return fault.New(fault.NotFound, "the definition of release %d of %s is lost with encryption key %s", number, service, key).
		WithHint("choose a newer release: mcp history %s; or deploy its file: mcp deploy %s", service, service)
}
