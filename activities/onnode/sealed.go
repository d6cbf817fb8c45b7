package onnode

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef/envvalue"
	"github.com/metacircular/mcp/servicedef/linux"
)

// unseal opens the envelopes of a container's secrets, makes secrets of the engine from
// them, and lets spec use these. What the engine has is left alone. Done is called when the
// container is created, or will not be: until then none of its secrets is pruned.
func (a *Node) unseal(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec *runtime.ContainerSpec) (done func(), err error) {
	return a.unsealAs(ctx, engine, c, spec, nil)
}

// unsealAs is unseal for a container that exists, and has secrets of the engine with these
// names.
func (a *Node) unsealAs(ctx context.Context, engine runtime.Runtime, c activities.ComponentSpec, spec *runtime.ContainerSpec, has []string) (done func(), err error) {
	plain, composed := envvalue.Plain(spec.Env)
	spec.Env = plain
	if len(c.Definition.Versions) == 0 && len(composed) == 0 {
		return func() {}, nil
	}
	a.secretUse.RLock()
	defer func() {
		if err != nil {
			a.secretUse.RUnlock()
		}
	}()
	u := unsealing{node: a, engine: engine, c: c, has: has, values: map[string][]byte{}, names: map[string]string{}}
	if err := u.versions(ctx); err != nil {
		return nil, err
	}
	if err := u.use(spec); err != nil {
		return nil, err
	}
	if err := u.compose(ctx, spec, composed); err != nil {
		return nil, err
	}
	spec.Labels[runtime.LabelSecrets] = strings.Join(u.made, " ")
	return a.secretUse.RUnlock, nil
}

// unsealAgain makes the secrets of containers that exist, as far as it can: a container
// starts without those that it has as files, and those that the engine has not lost need no
// envelope.
func (a *Node) unsealAgain(ctx context.Context, engine runtime.Runtime, components []activities.ComponentSpec) error {
	var failed []error
	for _, c := range components {
		has, err := secretsOf(ctx, engine, c.Service)
		if err != nil {
			return err
		}
		spec := containerSpec(c, c.Container(), a.Publish)
		done, err := a.unsealAs(ctx, engine, c, &spec, has)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		done()
	}
	return errors.Join(failed...)
}

// secretsOf returns the engine's names of the secrets that containers of a service have.
func secretsOf(ctx context.Context, engine runtime.Runtime, service string) (names []string, err error) {
	containers, err := engine.Summaries(ctx, runtime.Selection{Labels: map[string]string{runtime.LabelService: service, runtime.LabelSecrets: ""}})
	for _, c := range containers {
		names = slices.AppendSeq(names, strings.FieldsSeq(c.Labels[runtime.LabelSecrets]))
	}
	return names, err
}

// unsealing makes the secrets of one container.
type unsealing struct {
	node   *Node
	engine runtime.Runtime
	c      activities.ComponentSpec
	has    []string // names of the engine's secrets that it has already, if it exists
	// values are those of the versions, and names what the engine calls them, by the names
	// that the definition gives them.
	values map[string][]byte
	names  map[string]string
	made   []string // the names of all of them
}

// versions opens the envelopes, all of them before any secret is made.
func (u *unsealing) versions(ctx context.Context) error {
	versions := u.c.Definition.Versions
	for _, reference := range versions.Names() {
		want := secrets.Ref{Service: u.c.Service, Name: versions[reference].Name, Version: versions[reference].Version}
		i := slices.IndexFunc(u.c.Envelopes, func(e secrets.Envelope) bool { return e.Ref == want })
		if i < 0 {
			return fault.New(fault.Invalid, "%s has not come with what needs it", want)
		}
		value, err := u.node.Secrets.Open(want, u.c.Envelopes[i])
		if err != nil {
			return err
		}
		u.values[reference] = value
	}
	for _, reference := range versions.Names() {
		v := versions[reference]
		ref := secrets.Ref{Service: u.c.Service, Name: v.Name, Version: v.Version}
		name, err := u.create(ctx, ref.EngineName(), ref.Subject(), u.values[reference], map[string]string{
			runtime.LabelSecret: v.Name, runtime.LabelSecretVersion: strconv.Itoa(v.Version),
		})
		if err != nil {
			return err
		}
		u.names[reference] = name
	}
	return nil
}

// use gives the container its secrets by the names that the engine has for them. Files keep
// the names that the definition gives them.
func (u *unsealing) use(spec *runtime.ContainerSpec) error {
	spec.Secrets = slices.Clone(spec.Secrets)
	for i, s := range spec.Secrets {
		if name, own := u.names[s.Source]; own {
			spec.Secrets[i].Source, spec.Secrets[i].Target = name, s.Path()
		}
	}
	spec.SecretEnv = maps.Clone(spec.SecretEnv)
	for _, variable := range slices.Sorted(maps.Keys(spec.SecretEnv)) {
		reference := spec.SecretEnv[variable]
		name, own := u.names[reference]
		if !own {
			continue
		}
		if err := variableFits(variable, u.values[reference]); err != nil {
			return err
		}
		spec.SecretEnv[variable] = name
	}
	return nil
}

// compose makes a secret from each value of env that contains secrets, and gives the
// container that secret.
func (u *unsealing) compose(ctx context.Context, spec *runtime.ContainerSpec, composed map[string][]envvalue.Part) error {
	for _, variable := range slices.Sorted(maps.Keys(composed)) {
		var parts []string
		for _, part := range composed[variable] {
			if part.Secret == "" {
				continue
			}
			if _, own := u.names[part.Secret]; !own {
				return fault.New(fault.Invalid, "the value of %s has the secret %s in it, which service %s does not have", variable, part.Secret, u.c.Service).
					WithHint("set it: mcp secret set %s/%s", u.c.Service, part.Secret)
			}
			v := u.c.Definition.Versions[part.Secret]
			parts = append(parts, fmt.Sprintf("%s.v%d", v.Name, v.Version))
		}
		slices.Sort(parts)
		value := []byte(envvalue.Compose(composed[variable], func(secret string) string { return string(u.values[secret]) }))
		if err := variableFits(variable, value); err != nil {
			return err
		}
		subject := "env/" + u.c.Service + "/" + u.c.Definition.Name + "/" + variable
		sum := sha256.Sum256([]byte(subject))
		name := fmt.Sprintf("mcp-%s.%s.env.%s", u.c.Service, u.c.Definition.Name, hex.EncodeToString(sum[:4]))
		name, err := u.create(ctx, name, subject, value, map[string]string{
			runtime.LabelSecretParts: strings.Join(slices.Compact(parts), " "),
		})
		if err != nil {
			return err
		}
		if spec.SecretEnv == nil {
			spec.SecretEnv = map[string]string{}
		}
		spec.SecretEnv[variable] = name
	}
	return nil
}

// create makes a secret of the engine, and returns its name. A secret of the engine that
// has the name and another value stays, because containers may have it: the same version
// was given again after the registry was restored from a backup, or the node has had
// another key.
func (u *unsealing) create(ctx context.Context, name, subject string, value []byte, labels map[string]string) (string, error) {
	mark, err := u.node.Secrets.Identity.Mark(subject, value)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "make the secret %s", name)
	}
	check := hex.EncodeToString(mark[:16])
	labels[runtime.LabelService], labels[runtime.LabelSecretCheck] = u.c.Service, check
	other := engineName(name + "." + check[:12])
	spec := runtime.SecretSpec{Name: engineName(name), Labels: labels, Value: value}
	if slices.Contains(u.has, other) { // it was so when the container was made
		spec.Name = other
	}
	err = u.engine.CreateSecret(ctx, spec)
	if fault.Is(err, fault.Conflict) {
		spec.Name = other
		err = u.engine.CreateSecret(ctx, spec)
	}
	if err != nil {
		return "", err
	}
	if !slices.Contains(u.made, spec.Name) {
		u.made = append(u.made, spec.Name)
	}
	return spec.Name, nil
}

// engineName returns a name that every engine takes: for one that is too long, its
// beginning and a hash.
func engineName(name string) string {
	if len(name) <= runtime.MaxSecretName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:8])
	return name[:runtime.MaxSecretName-1-len(hash)] + "." + hash
}

// variableFits returns an Invalid error unless a program can have a variable of that value.
// It does not show the value.
func variableFits(variable string, value []byte) error {
	switch {
	case slices.Contains(value, 0):
		return fault.New(fault.Invalid, "the secret of variable %s has a NUL byte, which no variable can have", variable).
			WithHint("give it to the container as a file, in secrets")
	case len(variable)+1+len(value) > linux.MaxVariable:
		return fault.New(fault.Invalid, "the secret of variable %s has %d bytes: Linux limits a variable, with its name, to %d", variable, len(value), linux.MaxVariable).
			WithHint("give it to the container as a file, in secrets")
	}
	return nil
}
