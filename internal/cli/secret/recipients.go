package secret

import (
	"context"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/secrets/keys"
)

// recipients returns to whom the value of a secret is sealed: the nodes and the builders,
// with the keys that are pinned, and the recovery keys. New keys are pinned.
func (d *desk) recipients(ctx context.Context, nodes, builders []string, known []fleet.NodeRecord) ([]secrets.Recipient, error) {
	fresh := map[string]seal.Key{}
	var to []secrets.Recipient
	for _, name := range nodes {
		node, err := find(name, known)
		if err != nil {
			return nil, err
		}
		key, err := seal.ParseKey(node.Key)
		if err != nil {
			return nil, keyless(name)
		}
		isNew, err := d.pins.Check(keys.TableNodes, name, key)
		if err != nil {
			return nil, err
		}
		if isNew {
			fresh[name] = key
		}
		d.warnOfSigner("node", name, node.Signers)
		to = append(to, secrets.Recipient{Name: name, Key: key})
	}
	if err := d.pin(keys.TableNodes, d.pins.Nodes, fresh); err != nil {
		return nil, err
	}
	for _, name := range builders {
		key, err := d.builderKey(ctx, name)
		if err != nil {
			return nil, err
		}
		to = append(to, secrets.Recipient{Name: name, Builder: true, Key: key})
	}
	return append(to, d.pins.Recoveries()...), nil
}

// warnOfRecovery warns if values can be lost.
func (d *desk) warnOfRecovery(to []secrets.Recipient) {
	if len(d.pins.Recovery) > 0 {
		return
	}
	var names []string
	for _, r := range to {
		names = append(names, r.String())
	}
	d.once("there is no recovery key: with %s the values are lost; make one, and keep it elsewhere: mcp secret keygen FILE", strings.Join(names, " and "))
}

func find(name string, known []fleet.NodeRecord) (fleet.NodeRecord, error) {
	var names []string
	for _, node := range known {
		if node.Name == name {
			return node, nil
		}
		names = append(names, node.Name)
	}
	f := fault.New(fault.NotFound, "no node is called %s, or its worker has not announced itself", name).WithHint("list them: mcp node list")
	if near := nearest(name, names); near != "" {
		f = f.WithHint("did you mean %s? mcp node list shows them all", near)
	}
	return fleet.NodeRecord{}, exit.Usage(f)
}

// keyless returns the error of a node to which nothing can be sealed.
func keyless(node string) error {
	f := fault.New(fault.Invalid, "node %s has announced no key: nothing can be sealed to it", node).
		WithHint("start its worker again with this version of mcp; if it has one, its log says why it has no key")
	f.Node = node
	return f
}
