package servicedef

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
)

func (s *Strings) wanted() string { return "a string or an array of strings" }

func (s *Strings) decodeTOML(r *report, key string, value any) {
	if text, single := value.(string); single {
		*s = Strings{text}
		r.refuseNUL(key, text)
		return
	}
	*s = r.texts(key, value, s.wanted())
}

// texts decodes an array of strings.
func (r *report) texts(key string, value any, wanted string) []string {
	array, ok := value.([]any)
	if !ok {
		r.reject(key, "must be %s, not %s", wanted, found(value))
		return nil
	}
	var texts []string
	for i, element := range array {
		text, ok := element.(string)
		if !ok {
			r.reject(elementKey(key, i), "must be a string, not %s", found(element))
		}
		r.refuseNUL(elementKey(key, i), text)
		texts = append(texts, text)
	}
	return texts
}

func (u *Ulimit) wanted() string {
	return `a number, "unlimited", "soft:hard" or a table with soft and hard`
}

func (u *Ulimit) decodeTOML(r *report, key string, value any) {
	switch v := value.(type) {
	case int64:
		*u = Ulimit{v, v}
	case string:
		if err := u.UnmarshalText([]byte(v)); err != nil {
			r.reject(key, "must be %s, not %q", u.wanted(), v)
		}
	case map[string]any:
		soft, hasSoft := v["soft"].(int64)
		hard, hasHard := v["hard"].(int64)
		if !hasSoft || !hasHard || len(v) != 2 {
			r.reject(key, "must have the whole numbers soft and hard, and nothing else")
			return
		}
		*u = Ulimit{soft, hard}
	default:
		r.reject(key, "must be %s, not %s", u.wanted(), found(value))
	}
}

func (s *Sysctls) wanted() string { return "a table of strings or whole numbers" }

func (s *Sysctls) decodeTOML(r *report, key string, value any) {
	table, ok := value.(map[string]any)
	if !ok {
		r.reject(key, "must be %s, not %s", s.wanted(), found(value))
		return
	}
	for name, element := range table {
		text, ok := element.(string)
		if number, whole := element.(int64); whole {
			text, ok = strconv.FormatInt(number, 10), true
		}
		if !ok {
			r.reject(joinKey(key, name), "must be a string or a whole number, not %s; a name with points is quoted: \"net.core.somaxconn\" = 1024", found(element))
			continue
		}
		r.refuseNUL(joinKey(key, name), text)
		if *s == nil {
			*s = Sysctls{}
		}
		(*s)[name] = text
	}
}

func (s *Statuses) wanted() string { return "a whole number or an array of them" }

func (s *Statuses) decodeTOML(r *report, key string, value any) {
	array, several := value.([]any)
	if !several {
		array = []any{value}
	}
	for i, element := range array {
		number, ok := element.(int64)
		switch {
		case ok:
			*s = append(*s, int(number))
		case several:
			r.reject(elementKey(key, i), "must be a whole number, not %s", found(element))
		default:
			r.reject(key, "must be %s, not %s", s.wanted(), found(value))
		}
	}
}

func (p *ProbePort) wanted() string { return "the name of a route or a port of the container" }

func (p *ProbePort) decodeTOML(r *report, key string, value any) {
	switch value := value.(type) {
	case string:
		r.refuseNUL(key, value)
		*p = ProbePort(value)
	case int64:
		*p = ProbePort(strconv.FormatInt(value, 10))
	default:
		r.reject(key, "must be %s, not %s", p.wanted(), found(value))
	}
}

func (n *Networks) wanted() string { return "an array of names, or a table with a table for each name" }

func (n *Networks) decodeTOML(r *report, key string, value any) {
	*n = nil
	switch v := value.(type) {
	case []any:
		for i, element := range v {
			var network NetworkRef
			network.decodeTOML(r, elementKey(key, i), element)
			*n = append(*n, network)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			var options struct {
				Aliases []string `toml:"aliases"`
			}
			r.decode(joinKey(key, name), v[name], reflect.ValueOf(&options).Elem())
			*n = append(*n, NetworkRef{Name: name, Aliases: options.Aliases})
		}
	default:
		r.reject(key, "must be %s, not %s", n.wanted(), found(value))
	}
}

func (n *NetworkRef) wanted() string { return "a string" }

// decodeTOML decodes a network in an array, which has no aliases.
func (n *NetworkRef) decodeTOML(r *report, key string, value any) {
	name, ok := value.(string)
	if !ok {
		r.reject(key, "must be a string, not %s", found(value))
	}
	r.refuseNUL(key, name)
	n.Name = name
}

func (s *Secret) wanted() string { return "a string, or a table with source" }

func (s *Secret) decodeTOML(r *report, key string, value any) {
	switch v := value.(type) {
	case string:
		s.Source = v
		r.refuseNUL(key, v)
	case map[string]any:
		r.decodeStruct(key, v, reflect.ValueOf(s).Elem())
	default:
		r.reject(key, "must be %s, not %s", s.wanted(), found(value))
	}
}
