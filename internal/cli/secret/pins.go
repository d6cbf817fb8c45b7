package secret

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets/keys"
)

// pin pins keys that are new in a table.
func (d *desk) pin(table string, pins, fresh map[string]seal.Key) error {
	if len(fresh) == 0 {
		return nil
	}
	if err := keys.Pin(d.pins.Path, table, fresh); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		pins[name] = fresh[name]
		d.Say("pinned the key of %s %s, %s, in %s: compare it with the log of its worker, and commit the file", strings.TrimSuffix(table, "s"), name, fresh[name].Fingerprint(), d.pins.Path)
	}
	return nil
}

// warnOfSigner says that a node or a builder does not take what this operator signs.
func (d *desk) warnOfSigner(what, name string, signers []string) {
	if !slices.Contains(signers, d.key.Signer().String()) {
		d.once("%s %s does not take secrets that you sign: add to [node] in its mcp.toml, and restart its worker:\n  %s", what, name, signersLine(append(signers, d.key.Signer().String())))
	}
}

// signersLine returns the line of a node's mcp.toml.
func signersLine(signers []string) string {
	quoted := make([]string, len(signers))
	for i, text := range signers {
		quoted[i] = strconv.Quote(text)
	}
	return "signers = [" + strings.Join(quoted, ", ") + "]"
}
