package local

import (
	"fmt"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// registryFinding returns the finding on how an image registry answers to a
// host.
func registryFinding(image, from string, err error) finding {
	host := servicedef.ImageRegistry(image)
	check := fmt.Sprintf("image registry %s, %s", host, from)
	switch {
	case err == nil:
		return ok(check, "it answers, and has %s", image)
	case fault.Is(err, fault.NotFound):
		return ok(check, "it answers, and has no %s yet", image)
	case fault.Is(err, fault.Unauthorized):
		return fail(check, hinted(late(err), "log in: podman login %s, or set [image_registry] auth_file", host))
	}
	return fail(check, hinted(late(err), "is it up, and is its name right?"))
}
