package secret

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/secrets"
)

// changed is one entry of mcp secret set, import and rekey --json.
type changed struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	// Outcome is "new" for a new version, "unchanged", "resealed" for the same value with
	// other recipients, or "left" for a former one that the key of rekey cannot open.
	Outcome    string      `json:"outcome"`
	Recipients []recipient `json:"recipients"`
}

// recipient is whom a value is sealed to.
type recipient struct {
	Name        string `json:"name"`
	Builder     bool   `json:"builder"`
	Recovery    bool   `json:"recovery"`
	Fingerprint string `json:"fingerprint"`
}

// The outcomes of setting a secret.
const (
	isNew     = "new"
	unchanged = "unchanged"
	resealed  = "resealed"
	left      = "left"
)

func recipientsShown(all []secrets.Recipient) []recipient {
	list := []recipient{}
	for _, r := range all {
		list = append(list, recipient{r.Name, r.Builder, r.Recovery, r.Key.Fingerprint()})
	}
	return list
}

// summary returns the outcome of setting a secret, for a person.
func summary(c changed) string {
	var names []string
	for _, r := range c.Recipients {
		names = append(names, secrets.Recipient{Name: r.Name, Builder: r.Builder, Recovery: r.Recovery}.String())
	}
	text := fmt.Sprintf("%s/%s: version %d", c.Service, c.Name, c.Version)
	switch c.Outcome {
	case unchanged:
		text += ", unchanged: it has this value already"
	case resealed:
		text += " has this value already, and is now sealed to " + strings.Join(names, ", ")
	default:
		text += ", sealed to " + strings.Join(names, ", ")
	}
	return ui.FirstLine(text)
}
