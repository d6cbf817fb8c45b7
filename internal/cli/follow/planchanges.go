package follow

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/plan"
)

// Sign returns the mark of an action in a diff.
func Sign(action plan.Action) string {
	switch action {
	case plan.Create:
		return "+"
	case plan.Replace:
		return "~"
	case plan.Remove, plan.Stop:
		return "-"
	}
	return "="
}

// secretText renders a change of a secret's version: "~ secret db v6→v7".
func secretText(c plan.Change) string {
	switch {
	case c.From == "":
		return fmt.Sprintf("+ %s %s", c.Field, c.To)
	case c.To == "":
		return fmt.Sprintf("- %s %s", c.Field, c.From)
	}
	return fmt.Sprintf("~ %s %s→%s", c.Field, c.From, c.To)
}

// changeText renders one change.
func changeText(c plan.Change) string {
	if strings.HasPrefix(c.Field, plan.FieldSecret) {
		return secretText(c)
	}
	switch {
	case c.From == "" && hasValue(c.Field):
		return fmt.Sprintf("%s: (none) → %s", c.Field, c.To)
	case c.From == "":
		return fmt.Sprintf("%s: %s", c.Field, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s → (none)", c.Field, c.From)
	}
	return fmt.Sprintf("%s: %s → %s", c.Field, c.From, c.To)
}

// hasValue reports whether To is a new value of a field that had none before. For any other
// field without a former value, To describes the change.
func hasValue(field string) bool {
	switch field {
	case "user", "network", "memory", "health.http", "health.host", "allow", "proxy_protocol", "redirect":
		return true
	}
	return strings.HasPrefix(field, "routes.") && !strings.Contains(field, ".basic_auth.")
}
