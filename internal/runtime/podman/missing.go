package podman

import (
	"errors"
	"regexp"

	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/runtime"
)

// missingObjects are the root causes that mean that podman lacks an object, and how its
// message names it.
var missingObjects = []struct {
	what   runtime.Missing
	causes []cause
	name   *regexp.Regexp
}{
	{runtime.MissingSecret, []cause{noSecret}, regexp.MustCompile(`(?:^|: )no secret with name or id "([^"]+)"`)},
	{runtime.MissingNetwork, []cause{networkGone, networkUnknown}, regexp.MustCompile(`(?:^|: )unable to find network with name or ID "?([^":\s]+)`)},
}

// missing returns err as a *runtime.MissingError if podman lacks an object that a
// container needs, and names it; err itself otherwise.
func missing(err error) error {
	text := err.Error()
	var model *errorhandling.ErrorModel
	if errors.As(err, &model) {
		text = model.Message
	}
	causes := causesOf(err)
	for _, object := range missingObjects {
		if _, found := causes.kind(object.causes); !found {
			continue
		}
		if name := object.name.FindStringSubmatch(text); name != nil {
			return &runtime.MissingError{What: object.what, Name: name[1], Err: err}
		}
	}
	return err
}
