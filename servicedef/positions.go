package servicedef

import (
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// positions maps each key of a TOML text to its line. Keys are in the notation
// of problems: "components[1].routes[0].port". The decoder itself reports lines
// for syntax errors only.
type positions struct {
	parser   unstable.Parser
	newlines []int          // offsets
	lines    map[string]int // by key
	counts   map[string]int // tables so far under each [[header]]
}

// newPositions reads the text up to its first syntax error.
func newPositions(data []byte) *positions {
	p := &positions{lines: map[string]int{}, counts: map[string]int{}}
	for offset, b := range data {
		if b == '\n' {
			p.newlines = append(p.newlines, offset)
		}
	}
	p.parser.Reset(data)
	table := ""
	for p.parser.NextExpression() {
		switch e := p.parser.Expression(); e.Kind {
		case unstable.KeyValue:
			p.pair(table, e)
		case unstable.Table:
			table = p.header(e.Key(), false)
		case unstable.ArrayTable:
			table = p.header(e.Key(), true)
		}
	}
	return p
}

// header records a [table] or, if array is set, a [[table]], and returns its key.
func (p *positions) header(parts unstable.Iterator, array bool) string {
	key := ""
	for parts.Next() {
		part := parts.Node()
		key = joinKey(key, string(part.Data))
		p.note(key, part)
		if array && parts.IsLast() {
			p.counts[key]++
		}
		if n := p.counts[key]; n > 0 {
			key = elementKey(key, n-1)
			p.note(key, part)
		}
	}
	return key
}

// pair records "key = value" and every key inside the value.
func (p *positions) pair(table string, node *unstable.Node) {
	key := table
	for parts := node.Key(); parts.Next(); {
		part := parts.Node()
		key = joinKey(key, string(part.Data))
		p.note(key, part)
	}
	p.value(key, node.Value())
}

func (p *positions) value(key string, node *unstable.Node) {
	children := node.Children()
	switch node.Kind {
	case unstable.InlineTable:
		for children.Next() {
			p.pair(key, children.Node())
		}
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			at := elementKey(key, i)
			p.note(at, children.Node())
			p.value(at, children.Node())
		}
	}
}

// note records the first line of a key. A node without an offset (a table
// inside an array) is left to the key that contains it.
func (p *positions) note(key string, node *unstable.Node) {
	if _, recorded := p.lines[key]; !recorded && node.Raw.Length > 0 {
		p.lines[key] = 1 + sort.SearchInts(p.newlines, int(node.Raw.Offset))
	}
}

// line returns the line of the key or, if it is missing, of the nearest key that
// would contain it.
func (p *positions) line(key string) int {
	for ; key != ""; key = parentKey(key) {
		if line, ok := p.lines[key]; ok {
			return line
		}
	}
	return 1
}

// indexed converts a dotted key, as the decoder reports it, to the notation of
// problems: it names the last table of each array on its path.
func (p *positions) indexed(dotted string) string {
	key := ""
	for part := range strings.SplitSeq(dotted, ".") {
		if n := p.counts[key]; n > 0 {
			key = elementKey(key, n-1)
		}
		key = strings.TrimPrefix(key+"."+part, ".")
	}
	return key
}
