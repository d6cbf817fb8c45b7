package inspect

import (
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// shownSubject is how much of a commit's subject a table shows, in characters.
const shownSubject = 40

// sourceText returns a commit as a table shows it; "" for none.
func sourceText(source *servicedef.Source) string {
	if source == nil {
		return ""
	}
	subject := []rune(strings.ReplaceAll(source.Subject, "\t", " "))
	if len(subject) > shownSubject {
		subject = append(subject[:shownSubject-1], '…')
	}
	return strings.TrimSpace(source.Short() + " " + string(subject))
}

// sourcesText lists the commits of a deployment, each once.
func sourcesText(d fleet.DeploymentRecord) string {
	var list []string
	for _, image := range slices.Sorted(maps.Keys(d.Sources)) {
		source := d.Sources[image]
		if text := sourceText(&source); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, "; ")
}
