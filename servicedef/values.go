package servicedef

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// fromTOML is a type with a notation of its own in a definition.
type fromTOML interface {
	// decodeTOML sets the receiver, and reports what is wrong.
	decodeTOML(r *report, key string, value any)
	// wanted describes the notation: "a string or an array of strings".
	wanted() string
}

// Strings are several texts, of which a single one is written without an array.
type Strings []string

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

// Unlimited is a limit that does not bound.
const Unlimited = -1

// Ulimit is a limit of a process: what it has, and the most that it may set itself.
// Unlimited for none.
type Ulimit struct{ Soft, Hard int64 }

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

// UnmarshalText parses "1024", "1024:2048" or "unlimited".
func (u *Ulimit) UnmarshalText(text []byte) error {
	soft, hard, both := strings.Cut(string(text), ":")
	var err error
	if u.Soft, err = parseLimit(soft); err != nil {
		return err
	}
	u.Hard = u.Soft
	if both {
		u.Hard, err = parseLimit(hard)
	}
	return err
}

func parseLimit(text string) (int64, error) {
	if text == "unlimited" {
		return Unlimited, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a limit", text)
	}
	return n, nil
}

// MarshalText is the inverse of UnmarshalText.
func (u Ulimit) MarshalText() ([]byte, error) {
	text := formatLimit(u.Soft)
	if u.Hard != u.Soft {
		text += ":" + formatLimit(u.Hard)
	}
	return []byte(text), nil
}

func formatLimit(n int64) string {
	if n == Unlimited {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

// Sysctls maps settings of the kernel to values, which are written as texts or numbers.
type Sysctls map[string]string

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

// Statuses are codes of HTTP; a single one is written without an array.
type Statuses []int

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

// Secret is a podman secret as a file of the container. One that has only a source is
// written as that name.
type Secret struct {
	// Source is the secret's name in the service, or in podman on the node.
	Source string `toml:"source" json:"source"`
	// Target is the file: a name below /run/secrets, or an absolute path. "" means Source.
	Target string `toml:"target" json:"target,omitempty"`
	// UID and GID own the file.
	UID int `toml:"uid" json:"uid,omitempty"`
	GID int `toml:"gid" json:"gid,omitempty"`
	// Mode is octal, "0400"; "" means "0444".
	Mode string `toml:"mode" json:"mode,omitempty"`
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

// plain reports whether the secret is written as its name.
func (s Secret) plain() bool { return s == Secret{Source: s.Source} }

// recordedSecret is Secret without its methods.
type recordedSecret Secret

// MarshalJSON encodes a plain secret as its name, as it was when a secret had no other
// keys.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s.plain() {
		return json.Marshal(s.Source)
	}
	return json.Marshal(recordedSecret(s))
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (s *Secret) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*s = Secret{}
		return json.Unmarshal(text, &s.Source)
	}
	return json.Unmarshal(text, (*recordedSecret)(s))
}
