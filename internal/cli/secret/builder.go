package secret

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/internal/secrets/keys"
	"github.com/metacircular/mcp/workflows/reads"
)

// builders returns the builders to which a secret that a build names is sealed: the
// builder of this configuration, and those that are pinned.
func (d *desk) builders(service, name string) ([]string, error) {
	all := slices.Collect(maps.Keys(d.pins.Builders))
	if mine := d.cfg.Build.Builder; mine != "" && !slices.Contains(all, mine) {
		all = append(all, mine)
	}
	if len(all) == 0 {
		return nil, exit.Usage(fault.New(fault.Invalid, "a build of %s needs the secret %s, and there is no builder to seal it to", service, name).
			WithHint("set [build] workspace or [build] builder in mcp.toml, or name one: --builder NAME"))
	}
	slices.Sort(all)
	return all, nil
}

// builderKey returns the key of a builder, which is pinned if it is new. The key of this
// process is in a file; another builder is asked, unless its key is pinned and it is not
// the builder of this configuration.
func (d *desk) builderKey(ctx context.Context, name string) (seal.Key, error) {
	pinned, isPinned := d.pins.Builders[name]
	mine := name == d.cfg.Build.Builder
	switch {
	case mine && d.cfg.Build.Workspace != "":
		identity, err := seal.Load(d.cfg.BuilderKey(name))
		if err != nil {
			return seal.Key{}, exit.Usage(err)
		}
		return d.trusted(name, identity.Key())
	case isPinned && !mine:
		return pinned, nil
	}
	var found reads.SecretsResult
	if err := d.Read(ctx, d.client, "secret", reads.SecretsName, reads.SecretsInput{Builder: name}, &found); err != nil {
		return seal.Key{}, err
	}
	if found.Builder == nil {
		return seal.Key{}, fault.New(fault.Invalid, "the control worker does not ask builders for their keys").WithHint("upgrade mcp on its host, which mcp doctor names")
	}
	key, err := seal.ParseKey(found.Builder.Key)
	if err != nil {
		problem := strings.TrimPrefix(found.Builder.Problem+": ", ": ")
		return seal.Key{}, fault.New(fault.Invalid, "builder %s has no key: %snothing can be sealed to it", name, problem).
			WithHint("see the log of its worker, and the mode of the files in [node] keys there")
	}
	d.warnOfSigner("builder", name, found.Builder.Signers)
	return d.trusted(name, key)
}

// trusted returns a key of a builder, unless another one is pinned for it.
func (d *desk) trusted(name string, key seal.Key) (seal.Key, error) {
	isNew, err := d.pins.Check(keys.TableBuilders, name, key)
	if err != nil || !isNew {
		return key, err
	}
	return key, d.pin(keys.TableBuilders, d.pins.Builders, map[string]seal.Key{name: key})
}
