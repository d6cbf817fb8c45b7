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

// sourceText is a commit as a table shows it; "" for none.
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

// settle clears Pending where a deploy from here would change nothing: the definition
// was changed back, and neither deployed nor recorded since. One whose tags git cannot
// give is not settled.
func settle(list []serviceStatus, releases []fleet.Release, dir *servicedef.Dir, resolve func(servicedef.Service) (servicedef.Service, error)) {
	for i, r := range releases {
		here, err := dir.Find(r.Service)
		if err != nil || r.Definition == nil || !list[i].Pending {
			continue
		}
		if found, err := resolve(*here); err == nil && found.Hash() == r.Definition.Hash() {
			list[i].Pending = false
		}
	}
}
