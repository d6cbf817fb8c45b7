package secrets

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// MaxName is the length of the longest name of a secret.
const MaxName = 100

// maxVersion is the highest version: the registry counts with 32 bits.
const maxVersion = 1<<31 - 1

// Ref names one version of a secret of a service.
type Ref struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	// Version counts from 1. A number is never used again, not even after a removal.
	Version int `json:"version"`
}

// String returns the reference for people: "shop/db v7".
func (r Ref) String() string { return fmt.Sprintf("%s/%s v%d", r.Service, r.Name, r.Version) }

// Subject returns what the value is sealed under. Neither services nor names have a
// slash.
func (r Ref) Subject() string {
	return "secret/" + r.Service + "/" + r.Name + "/" + strconv.Itoa(r.Version)
}

// EngineName returns the name of the version at a node's engine: "mcp-shop.db.v7".
// Names of services have no dot, so no two versions have the same name.
func (r Ref) EngineName() string { return fmt.Sprintf("mcp-%s.%s.v%d", r.Service, r.Name, r.Version) }

// Check returns an Invalid error unless the reference is one that can exist.
func (r Ref) Check() error {
	if err := CheckName(r.Service, r.Name); err != nil {
		return err
	}
	if r.Version < 1 || r.Version > maxVersion {
		return fault.New(fault.Invalid, "%s/%s: a version counts from 1, and is not %d", r.Service, r.Name, r.Version)
	}
	return nil
}

var name = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

// CheckName returns an Invalid error unless a service can have a secret of that name.
func CheckName(service, secret string) error {
	switch {
	case !servicedef.IsLabel(service):
		return fault.New(fault.Invalid, "%.80q is no name of a service", service).
			WithHint("name the secret as SERVICE/NAME, such as shop/db")
	case len(secret) > MaxName || !name().MatchString(secret):
		return fault.New(fault.Invalid, "%.120q is no name of a secret", secret).
			WithHint("use letters, digits, '.', '-' and '_', at most %d", MaxName)
	}
	return nil
}
