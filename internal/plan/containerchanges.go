package plan

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/metacircular/mcp/servicedef"
)

// containerChanges compares the settings of two containers that their engine applies. Each
// change needs a new container.
func containerChanges(old, new servicedef.Container) []Change {
	before, after := old.Settings(), new.Settings()
	var changes []Change
	for key, value := range after {
		if before[key] != value {
			changes = append(changes, Change{Field: key, From: before[key], To: value})
		}
	}
	for key, value := range before {
		if _, kept := after[key]; !kept {
			changes = append(changes, Change{Field: key, From: value, To: removed})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Field, b.Field) })
	return changes
}

// FieldSecret begins the field of a change of a secret's version, before its name.
const FieldSecret = "secret "

// secretChanges compares the versions of secrets of two containers.
func secretChanges(old, new servicedef.Component) []Change {
	text := func(c servicedef.Component, reference string) string {
		if v, own := c.Versions[reference]; own {
			return fmt.Sprintf("v%d", v.Version)
		}
		if slices.Contains(c.SecretNames(), reference) {
			return "podman's own"
		}
		return ""
	}
	var changes []Change
	names := append(old.Versions.Names(), new.Versions.Names()...)
	slices.Sort(names)
	for _, reference := range slices.Compact(names) {
		from, to := text(old, reference), text(new, reference)
		if from != to {
			changes = append(changes, Change{Field: FieldSecret + reference, From: from, To: to})
		}
	}
	return changes
}

// What became of a variable, whose values are not shown.
const (
	added   = "added"
	changed = "changed"
	removed = "removed"
)

// envChanges names the variables, or the users, that differ, and never their values,
// which may be secrets.
func envChanges(field string, old, new map[string]string) []Change {
	var changes []Change
	for key, value := range new {
		if before, had := old[key]; !had {
			changes = append(changes, Change{Field: field + "." + key, To: added})
		} else if before != value {
			changes = append(changes, Change{Field: field + "." + key, To: changed})
		}
	}
	for key := range old {
		if _, has := new[key]; !has {
			changes = append(changes, Change{Field: field + "." + key, To: removed})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Field < changes[j].Field })
	return changes
}
