package secret

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/spelling"
)

// parse parses "SERVICE/NAME".
func parse(text string) (service, name string, err error) {
	service, name, ok := strings.Cut(text, "/")
	if !ok {
		return "", "", exit.Usage(fmt.Errorf("%q is no secret: name it as SERVICE/NAME, such as shop/db", text))
	}
	if err := secrets.CheckName(service, name); err != nil {
		return "", "", exit.Usage(err)
	}
	return service, name, nil
}

// existing returns a secret of a service. The error of one that the registry does not have
// names a similar one.
func existing(all []secrets.Secret, service, name string) (secrets.Secret, error) {
	if secret, exists := secretOf(all, service, name); exists {
		return secret, nil
	}
	return secrets.Secret{}, unknown(service, name, all)
}

func secretOf(all []secrets.Secret, service, name string) (secrets.Secret, bool) {
	for _, secret := range all {
		if secret.Service == service && secret.Name == name && !secret.Removed {
			return secret, true
		}
	}
	return secrets.Secret{}, false
}

// unknown returns the error of a secret that the registry does not have.
func unknown(service, name string, all []secrets.Secret) error {
	f := fault.New(fault.NotFound, "%s has no secret %s that mcp manages", service, name).
		WithHint("list them: mcp secret list; set one: mcp secret set %s/%s", service, name)
	var known []string
	for _, secret := range all {
		if !secret.Removed {
			known = append(known, secret.Name)
		}
	}
	if near := nearest(name, known); near != "" {
		f = f.WithHint("did you mean %s/%s? mcp secret list %s shows them all", service, near, service)
	}
	return exit.Usage(f)
}

func nearest(name string, known []string) string {
	near := spelling.Nearest(name, known)
	if len(near) == 0 {
		return ""
	}
	return near[0]
}
