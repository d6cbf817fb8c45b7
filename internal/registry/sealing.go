package registry

import (
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/metacircular/mcp/internal/keyring"
	"github.com/metacircular/mcp/servicedef"
)

// purpose keeps what is sealed here apart from what is sealed elsewhere.
const purpose = "registry"

// sealing is a transaction that encrypts what is written of definitions, outputs and
// failures, and decrypts it. Rows that are not encrypted are read as they are.
type sealing struct {
	pgx.Tx
	keys *keyring.Keys // nil for none
}

// keysOf returns the keys of a transaction; nil if there are none.
func keysOf(tx pgx.Tx) *keyring.Keys {
	if s, ok := tx.(sealing); ok {
		return s.keys
	}
	return nil
}

// currentKey returns the key with which a transaction encrypts; false if it does not.
func currentKey(tx pgx.Tx) (keyring.Key, bool) {
	keys := keysOf(tx)
	if keys == nil {
		return keyring.Key{}, false
	}
	return keys.Current()
}

// storedDefinition is an encrypted definition as Postgres stores it. What statements need
// of it is in the clear; Sealed is all of it, as an envelope.
type storedDefinition struct {
	Name       string                       `json:"name"`
	Node       string                       `json:"node"`
	Active     bool                         `json:"active"`
	Components []storedComponent            `json:"components"`
	Steps      []storedStep                 `json:"steps,omitempty"`
	Sources    map[string]servicedef.Source `json:"sources,omitempty"`
	Sealed     []byte                       `json:"sealed,omitempty"`
	// Lost is the key with which Sealed was lost: see ForgetKey.
	Lost string `json:"lost,omitempty"`
}

type storedComponent struct {
	Name  string `json:"name"`
	Node  string `json:"node"`
	Image string `json:"image"`
	// Versions are the names and versions of secrets, not their values.
	Versions servicedef.SecretVersions `json:"secret_versions,omitempty"`
}

type storedStep struct {
	Name     string                    `json:"name"`
	Image    string                    `json:"image,omitempty"`
	Versions servicedef.SecretVersions `json:"secret_versions,omitempty"`
}

// sealDefinition returns a definition as the transaction stores it.
func sealDefinition(tx pgx.Tx, definition servicedef.Service) ([]byte, error) {
	text, err := json.Marshal(definition)
	if err != nil {
		return nil, fmt.Errorf("encode the definition of %s: %w", definition.Name, err)
	}
	key, ok := currentKey(tx)
	if !ok {
		return text, nil
	}
	stored := storedDefinition{Name: definition.Name, Node: definition.Node, Active: definition.Active, Sources: definition.Sources}
	for _, c := range definition.Components {
		stored.Components = append(stored.Components, storedComponent{c.Name, c.Node, c.Image, c.Versions})
	}
	for _, step := range definition.Steps {
		stored.Steps = append(stored.Steps, storedStep{step.Name, step.Image, step.Versions})
	}
	stored.Sealed = key.Enclose(purpose, keyring.Bind("definition", definition.Name), text)
	return json.Marshal(stored)
}

// openDefinition decodes a definition that sealDefinition has returned. The error is a
// *lostDefinition if its key was forgotten.
func openDefinition(tx pgx.Tx, service string, text []byte, definition any) error {
	var stored storedDefinition
	if err := json.Unmarshal(text, &stored); err != nil {
		return fmt.Errorf("decode the definition of %s: %w", service, err)
	}
	if stored.Lost != "" {
		return &lostDefinition{service, stored.Lost}
	}
	if stored.Sealed != nil {
		var err error
		text, err = keysOf(tx).Disclose("the definition of "+service+" in the registry", purpose, keyring.Bind("definition", service), stored.Sealed)
		if err != nil {
			return err
		}
	}
	if err := json.Unmarshal(text, definition); err != nil {
		return fmt.Errorf("decode the definition of %s: %w", service, err)
	}
	return nil
}

// sealedTexts are those of a row that are encrypted together.
type sealedTexts struct {
	Message string   `json:"message,omitempty"`
	Log     []string `json:"log,omitempty"`
	Command []string `json:"command,omitempty"`
}

// seal returns the envelope of the texts, which are empty then, for the column sealed; nil
// if the transaction does not encrypt. Row identifies the row.
func (t *sealedTexts) seal(tx pgx.Tx, row ...string) ([]byte, error) {
	t.Log, t.Command = nonNil(t.Log), nonNil(t.Command)
	key, ok := currentKey(tx)
	if !ok {
		return nil, nil
	}
	text, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode the texts of a row: %w", err)
	}
	*t = sealedTexts{Log: []string{}, Command: []string{}}
	return key.Enclose(purpose, keyring.Bind(row...), text), nil
}

// open fills in the texts from the envelope of a row. One that the row itself has is
// newer, and stays.
func (t *sealedTexts) open(tx pgx.Tx, envelope []byte, row ...string) error {
	if envelope == nil {
		return nil
	}
	text, err := keysOf(tx).Disclose("a record of "+row[1]+" in the registry", purpose, keyring.Bind(row...), envelope)
	if err != nil {
		return err
	}
	var sealed sealedTexts
	if err := json.Unmarshal(text, &sealed); err != nil {
		return fmt.Errorf("decode the texts of a row: %w", err)
	}
	if t.Message == "" {
		t.Message = sealed.Message
	}
	if len(t.Log) == 0 {
		t.Log = sealed.Log
	}
	if len(t.Command) == 0 {
		t.Command = sealed.Command
	}
	return nil
}

// The identities of the rows that have sealed texts.
func failureRow(service, run string) []string { return []string{"failure", service, run} }
func taskRow(service, id string) []string     { return []string{"task", service, id} }
func jobRow(service, run string) []string     { return []string{"job", service, run} }
