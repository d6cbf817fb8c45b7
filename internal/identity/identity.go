package identity

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/metacircular/mcp/internal/fault"
)

// Role is what an identity is for. What it may do is decided elsewhere.
type Role string

// The roles.
const (
	// Operator may do everything that mcp can do.
	Operator Role = "operator"
	// Deployer changes the services that it names, and reads them: a program of CI.
	Deployer Role = "deployer"
	// Reader reads the services that it names.
	Reader Role = "reader"
	// Node runs containers on one host.
	Node Role = "node"
	// Edge serves routes.
	Edge Role = "edge"
	// Builder builds images.
	Builder Role = "builder"
	// Control runs workflows and holds the registry.
	Control Role = "control"
)

var roles = []Role{Operator, Deployer, Reader, Node, Edge, Builder, Control}

// Roles returns every role.
func Roles() []Role { return slices.Clone(roles) }

// Exists reports whether r is one of Roles.
func (r Role) Exists() bool { return slices.Contains(roles, r) }

// Limited reports whether identities of the role name the services that they may use.
func (r Role) Limited() bool { return r == Deployer || r == Reader }

// Person reports whether the role is used from a command line rather than by a worker.
func (r Role) Person() bool { return r == Operator || r.Limited() }

// Grant is a right that a limited role does not have by itself.
type Grant string

// The grants.
const (
	// Exec runs commands in containers.
	Exec Grant = "exec"
	// Copy copies files from and to containers.
	Copy Grant = "cp"
	// Forward connects to ports of containers.
	Forward Grant = "port-forward"
	// Secrets sets secrets.
	Secrets Grant = "secrets"
)

var grants = []Grant{Exec, Copy, Forward, Secrets}

// Grants returns every grant.
func Grants() []Grant { return slices.Clone(grants) }

// AllServices is the element of Services that stands for each service.
const AllServices = "*"

// MaxServices bounds the services of an identity.
const MaxServices = 64

// Identity is who calls. The zero Identity is no caller.
type Identity struct {
	Role Role   `json:"role"`
	Name string `json:"name"`
	// ID distinguishes this identity from an earlier one of the same role and name that was
	// revoked.
	ID string `json:"id"`
	// Services are those of a limited role; nil for other roles.
	Services []string `json:"services,omitempty"`
	// Grants are rights beyond those of a limited role; nil for other roles.
	Grants []Grant `json:"grants,omitempty"`
}

// String returns the role and the name: "operator/anna".
func (i Identity) String() string { return string(i.Role) + "/" + i.Name }

// IsZero reports whether i is no caller.
func (i Identity) IsZero() bool { return i.Role == "" }

// MayUse reports whether a service is among those of the identity. For a role that is
// not limited it always is.
func (i Identity) MayUse(service string) bool {
	return !i.Role.Limited() || slices.Contains(i.Services, AllServices) || slices.Contains(i.Services, service)
}

// Has reports whether the identity has a right: an operator has each of them, and a
// limited role those that it was granted.
func (i Identity) Has(g Grant) bool {
	return i.Role == Operator || i.Role.Limited() && slices.Contains(i.Grants, g)
}

// Parse reads a role and a name, in the form of String.
func Parse(text string) (Identity, error) {
	role, name, ok := strings.Cut(text, "/")
	i := Identity{Role: Role(role), Name: name}
	if !ok {
		return Identity{}, fault.New(fault.Invalid, "%.80q is no identity", text).WithHint("write its role and its name, such as node rift or operator/anna")
	}
	return i, i.checkName()
}

// Check returns an error for an identity that no certificate may name.
func (i Identity) Check() error {
	if err := i.checkName(); err != nil {
		return err
	}
	switch {
	case len(i.ID) > 40 || !idPattern().MatchString(i.ID):
		return fault.New(fault.Invalid, "identity %s: its id %.80q is not valid", i, i.ID)
	case !i.Role.Limited() && len(i.Services)+len(i.Grants) > 0:
		return fault.New(fault.Invalid, "identity %s: services and grants are for the roles deployer and reader", i)
	case i.Role.Limited() && len(i.Services) == 0:
		return fault.New(fault.Invalid, "identity %s names no service", i).WithHint("name each service that it may use, or %q for all of them", AllServices)
	case len(i.Services) > MaxServices:
		return fault.New(fault.Invalid, "identity %s names %d services: at most %d are permitted", i, len(i.Services), MaxServices)
	}
	for _, s := range i.Services {
		if s != AllServices && !isLabel(s) {
			return fault.New(fault.Invalid, "identity %s: %.80q is not the name of a service", i, s)
		}
	}
	for _, g := range i.Grants {
		if !slices.Contains(grants, g) {
			return fault.New(fault.Invalid, "identity %s: there is no grant %.80q; there are %s", i, g, list(grants))
		}
	}
	return nil
}

func (i Identity) checkName() error {
	switch {
	case !i.Role.Exists():
		return fault.New(fault.Invalid, "there is no role %.80q; there are %s", i.Role, list(roles))
	case !isLabel(i.Name):
		return fault.New(fault.Invalid, "%.80q is not a name for %s: it must consist of a-z, 0-9 and -, at most 63 of them", i.Name, i.Role)
	}
	return nil
}

func list[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

var (
	label     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`) })
	idPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+$`) })
)

func isLabel(name string) bool { return len(name) <= 63 && label().MatchString(name) }

type contextKey struct{}

// NewContext returns a context that carries the caller.
func NewContext(ctx context.Context, caller Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, caller)
}

// FromContext returns the caller; ok is false if there is none.
func FromContext(ctx context.Context) (caller Identity, ok bool) {
	caller, ok = ctx.Value(contextKey{}).(Identity)
	return caller, ok && !caller.IsZero()
}
