// Package lines finds the lines of keys in a text of TOML. The decoder itself reports
// lines for syntax errors only.
package lines

import (
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/metacircular/mcp/servicedef/keypath"
)

// Index maps each key of a TOML text to its line. Keys are in the notation of package
// keypath: "components[1].routes[0].port".
type Index struct {
	parser   unstable.Parser
	newlines []int          // offsets
	lines    map[string]int // by key
	counts   map[string]int // tables so far under each [[header]]
}

// Of reads the text up to its first syntax error.
func Of(data []byte) *Index {
	x := &Index{lines: map[string]int{}, counts: map[string]int{}}
	for offset, b := range data {
		if b == '\n' {
			x.newlines = append(x.newlines, offset)
		}
	}
	x.parser.Reset(data)
	table := ""
	for x.parser.NextExpression() {
		switch e := x.parser.Expression(); e.Kind {
		case unstable.KeyValue:
			x.pair(table, e)
		case unstable.Table:
			table = x.header(e.Key(), false)
		case unstable.ArrayTable:
			table = x.header(e.Key(), true)
		}
	}
	return x
}

// header records a [table] or, if array is set, a [[table]], and returns its key.
func (x *Index) header(parts unstable.Iterator, array bool) string {
	key := ""
	for parts.Next() {
		part := parts.Node()
		key = keypath.Join(key, string(part.Data))
		x.note(key, part)
		if array && parts.IsLast() {
			x.counts[key]++
		}
		if n := x.counts[key]; n > 0 {
			key = keypath.Element(key, n-1)
			x.note(key, part)
		}
	}
	return key
}

// pair records "key = value" and every key inside the value.
func (x *Index) pair(table string, node *unstable.Node) {
	key := table
	for parts := node.Key(); parts.Next(); {
		part := parts.Node()
		key = keypath.Join(key, string(part.Data))
		x.note(key, part)
	}
	x.value(key, node.Value())
}

func (x *Index) value(key string, node *unstable.Node) {
	children := node.Children()
	switch node.Kind {
	case unstable.InlineTable:
		for children.Next() {
			x.pair(key, children.Node())
		}
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			at := keypath.Element(key, i)
			x.note(at, children.Node())
			x.value(at, children.Node())
		}
	}
}

// note records the first line of a key. A node without an offset (a table
// inside an array) is left to the key that contains it.
func (x *Index) note(key string, node *unstable.Node) {
	if _, recorded := x.lines[key]; !recorded && node.Raw.Length > 0 {
		x.lines[key] = 1 + sort.SearchInts(x.newlines, int(node.Raw.Offset))
	}
}

// Line returns the line of the key or, if it is missing, of the nearest key that
// would contain it.
func (x *Index) Line(key string) int {
	for ; key != ""; key = keypath.Parent(key) {
		if line, ok := x.lines[key]; ok {
			return line
		}
	}
	return 1
}

// Has reports whether the text has the key.
func (x *Index) Has(key string) bool {
	_, found := x.lines[key]
	return found
}

// Indexed converts a dotted key, as the decoder reports it, to the notation of package
// keypath: it names the last table of each array on its path.
func (x *Index) Indexed(dotted string) string {
	key := ""
	for part := range strings.SplitSeq(dotted, ".") {
		if n := x.counts[key]; n > 0 {
			key = keypath.Element(key, n-1)
		}
		key = strings.TrimPrefix(key+"."+part, ".")
	}
	return key
}
