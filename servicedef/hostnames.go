package servicedef

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Hostnames are DNS names in lower case. The first label of a name may be "*", which
// stands for any one label. In TOML and in JSON one name is a string and several are an
// array.
type Hostnames []string

// First returns the first name, "" if there is none.
func (h Hostnames) First() string {
	if len(h) == 0 {
		return ""
	}
	return h[0]
}

// plain returns the first name that is no wildcard, "" if there is none.
func (h Hostnames) plain() string {
	for _, name := range h {
		if !wildcard(name) {
			return name
		}
	}
	return ""
}

// MarshalJSON encodes one name as a string, so that a definition with one name has the
// hash that it had when a route could have no more.
func (h Hostnames) MarshalJSON() ([]byte, error) {
	if len(h) == 1 {
		return json.Marshal(h[0])
	}
	return json.Marshal([]string(h))
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (h *Hostnames) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, (*[]string)(h))
	}
	var name string
	err := json.Unmarshal(text, &name)
	*h = hostnames(name)
	return err
}

// hostnames returns one name; none if it is "".
func hostnames(name string) Hostnames {
	if name == "" {
		return nil
	}
	return Hostnames{name}
}

// wildcard reports whether a hostname stands for many.
func wildcard(hostname string) bool { return strings.HasPrefix(hostname, "*.") }
