package servicedef

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration whose text form is Go's: "1m30s".
type Duration time.Duration

// UnmarshalText parses "1m30s".
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText is the inverse of UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Strings are several texts, of which a single one is written without an array.
type Strings []string

// Unlimited is a limit that does not bound.
const Unlimited = -1

// Ulimit is a limit of a process: what it has, and the most that it may set itself.
// Unlimited for none.
type Ulimit struct{ Soft, Hard int64 }

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

// Statuses are codes of HTTP; a single one is written without an array.
type Statuses []int

// ProbePort names what a health check connects to: a route of the component, or a port of
// the container, which is written as a number. "" is the first route, or else the first
// port.
type ProbePort string

// Is reports whether p names the given route, or the port on which the container listens
// for it; route is "" for a port without a route.
func (p ProbePort) Is(route string, port int) bool {
	return p == "" || route == string(p) || strconv.Itoa(port) == string(p)
}
