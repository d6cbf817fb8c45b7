package secret

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/internal/secrets/keys"
	"github.com/metacircular/mcp/internal/spelling"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows"
)

// desk is what an operator seals at: the connection, the signing key and the pinned keys.
type desk struct {
	*session.Session
	cfg    *config.Config
	client client.Client
	key    secrets.SigningKey
	pins   keys.Pins
	said   map[string]bool // what was said, to say it once
}

// once says what holds for several secrets.
func (d *desk) once(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.said[text] {
		return
	}
	if d.said == nil {
		d.said = map[string]bool{}
	}
	d.said[text] = true
	d.Say("%s", text)
}

// open connects, and reads the keys.
func open(ctx context.Context, s *session.Session) (*desk, error) {
	cfg, err := s.Config()
	if err != nil {
		return nil, err
	}
	d := &desk{Session: s, cfg: cfg}
	path, err := pinsFile(cfg)
	if err != nil {
		return nil, err
	}
	if d.pins, err = keys.ReadPins(path); err != nil {
		return nil, exit.Usage(err)
	}
	if d.key, err = keys.LoadSigning(cfg.Secrets.SigningKey); err != nil {
		return nil, exit.Usage(err)
	}
	d.client, err = s.Connect(ctx, cfg)
	return d, err
}

// openService is open, and reads what is recorded of the secrets of a service.
func openService(ctx context.Context, s *session.Session, service string) (*desk, workflows.SecretsResult, error) {
	d, err := open(ctx, s)
	if err != nil {
		return nil, workflows.SecretsResult{}, err
	}
	found, err := d.read(ctx, service)
	if err != nil {
		d.close()
		return nil, found, err
	}
	return d, found, nil
}

func (d *desk) close() { d.client.Close() }

// pinsFile returns the file of pinned keys.
func pinsFile(cfg *config.Config) (string, error) {
	path := cfg.PinsFile(keys.FileName)
	if path == "" {
		return "", exit.Usage(fault.New(fault.Invalid, "no place for the file of pinned keys, %s; this configuration is %s", keys.FileName, cfg.Describe()).
			WithHint("set services in mcp.toml: the file is beside that directory; or name it: [secrets] keys"))
	}
	return path, nil
}

// read reads what is recorded of the secrets of a service.
func (d *desk) read(ctx context.Context, service string) (workflows.SecretsResult, error) {
	return recorded(ctx, d.Session, d.client, "secret", workflows.SecretsInput{Service: service})
}

// consumers are the nodes that need a secret, and whether any component there names it.
type consumers struct {
	nodes  []string
	builds bool // whether a build names it
	named  bool
	from   string // where that is known from
}

// consumersOf returns the nodes of those components, jobs and steps that name a secret, and
// whether a build does; by the definition in the services directory, or else by the release.
// Where nothing names it, they are all nodes of the service.
func (d *desk) consumersOf(service, name string, release *fleet.Release) (consumers, error) {
	definition, missing, err := d.definition(service)
	if err != nil {
		return consumers{}, err
	}
	from := "definition"
	if definition == nil && release != nil && release.Definition != nil {
		definition, from = release.Definition, "release"
	}
	if definition == nil {
		return consumers{}, nowhere(service, missing)
	}
	c := consumers{from: from}
	var all []string
	for _, user := range servicedef.SecretUsers(*definition) {
		all = append(all, user.Node)
		if slices.Contains(user.Secrets, name) {
			c.nodes, c.named = append(c.nodes, user.Node), true
			c.builds = c.builds || user.Node == ""
		}
	}
	if !c.named {
		c.nodes = slices.Concat(all, workflows.Nodes(*definition))
	}
	c.nodes = slices.DeleteFunc(c.nodes, func(node string) bool { return node == "" })
	slices.Sort(c.nodes)
	c.nodes = slices.Compact(c.nodes)
	return c, nil
}

// definition returns the definition of a service in the services directory; nil, and why,
// where there is none.
func (d *desk) definition(service string) (definition *servicedef.Service, missing, err error) {
	if d.cfg.Services == "" {
		return nil, session.NoServices(d.cfg), nil
	}
	dir, err := session.Definitions(d.cfg)
	if err != nil {
		return nil, err, nil
	}
	definition, _, err = session.DefinitionIn(dir, service)
	if errors.As(err, new(*servicedef.NotFoundError)) {
		return nil, err, nil
	}
	return definition, nil, err
}

// nowhere is the error of a service of which nothing is known.
func nowhere(service string, missing error) error {
	f := exit.FaultOf(missing)
	hint := "write its definition first, or name the nodes that the value is for: --node NAME"
	if f.Hint != "" {
		hint = f.Hint + "; otherwise " + hint
	}
	return exit.Usage(fault.New(fault.NotFound, "which nodes need a secret of %s is not known: it was never deployed, and %s", service, f.Message).WithHint("%s", hint))
}

// recipients returns to whom the value of a secret is sealed: the nodes and the builders,
// with the keys that are pinned, and the recovery keys. What is new is pinned.
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

// warnOfRecovery says that values can be lost, where that is so.
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

// keyless is the error of a node to which nothing can be sealed.
func keyless(node string) error {
	f := fault.New(fault.Invalid, "node %s has announced no key: nothing can be sealed to it", node).
		WithHint("start its worker again with this version of mcp; if it has one, its log says why it has no key")
	f.Node = node
	return f
}

func nearest(name string, known []string) string {
	near := spelling.Nearest(name, known)
	if len(near) == 0 {
		return ""
	}
	return cmp.Or(near[0], "")
}
