package servicedef

import (
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// positions knows the line of each key of a TOML text, in the notation of
// problems: "components[1].routes[0].port". The decoder itself keeps lines
// for syntax errors only.
type positions struct {
	parser   unstable.Parser
	newlines []int          // offset of each
	lines    map[string]int // by key
	counts   map[string]int // tables so far under each [[header]]
}

// newPositions reads as far as the text is well formed.
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

// header notes a [table] or, if array is set, a [[table]], and gives its key.
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

// pair notes "key = value", and all there is inside the value.
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
			element := elementKey(key, i)
			p.note(element, children.Node())
			p.value(element, children.Node())
		}
	}
}

// note keeps the first line of a key. A node that does not know where it is
// (a table inside an array) leaves it to what holds it.
func (p *positions) note(key string, node *unstable.Node) {
	if _, known := p.lines[key]; !known && node.Raw.Length > 0 {
		p.lines[key] = 1 + sort.SearchInts(p.newlines, int(node.Raw.Offset))
	}
}

// line is where the key is or, if it is missing, what should hold it.
func (p *positions) line(key string) int {
	for ; key != ""; key = parentKey(key) {
		if line, ok := p.lines[key]; ok {
			return line
		}
	}
	return 1
}

// indexed turns a dotted key, as the decoder gives it, into the notation of
// problems: the tables that it goes through are the newest ones.
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

// joinKey is the key of a field; what is no bare key in TOML is quoted.
func joinKey(table, name string) string {
	if !bareKey(name) {
		name = strconv.Quote(name)
	}
	if table == "" {
		return name
	}
	return table + "." + name
}

// bareKey is whether TOML takes a key without quotes. It is asked of every key
// that is checked, too often for a pattern.
func bareKey(name string) bool {
	for _, c := range []byte(name) {
		bare := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
		if !bare {
			return false
		}
	}
	return name != ""
}

func elementKey(array string, i int) string { return array + "[" + strconv.Itoa(i) + "]" }

// parentKey is the key without its last part; "" for one at the top.
func parentKey(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }
