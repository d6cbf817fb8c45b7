// Package spelling finds the names that a misspelt one may stand for.
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns up to three of the known names that name may be a misspelling
// of, most similar first: two letters may differ, or a third of them if that is
// more, but never more than half.
func Nearest(name string, known []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	for _, k := range known {
		far := distance(strings.ToLower(name), strings.ToLower(k))
		longest := max(len(k), len(name))
		if far <= max(2, longest/3) && far <= longest/2 {
			near = append(near, candidate{k, far})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range near {
		names = append(names, c.name)
	}
	names = slices.Compact(names)
	return names[:min(3, len(names))]
}

// distance is the Levenshtein distance: the fewest letters to insert, delete or
// change. For names too long to be misspellings it is the length.
func distance(a, b string) int {
	if max(len(a), len(b)) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
