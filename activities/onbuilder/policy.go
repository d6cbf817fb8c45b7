package onbuilder

import (
	"path/filepath"
	"slices"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/policy"
	"github.com/metacircular/mcp/servicedef"
)

// permit fails if the policy of the builder's host forbids a build.
func (a *Builder) permit(in BuildInput, bases, unknown []string) error {
	if a.Policies == nil {
		return nil
	}
	subject := policy.BuildSubject{
		Image: in.Image, Bases: slices.Clone(bases), Unknown: unknown, Host: a.Policies.Place,
		SecretFiles: map[string]string{}, SecretEnvironment: map[string]string{},
	}
	for _, value := range in.Build.Contexts {
		if image, isImage := servicedef.ContextImage(value); isImage {
			subject.Bases = append(subject.Bases, image)
		}
	}
	subject.Bases = append(append(subject.Bases, in.Build.CacheFrom...), in.Build.CacheTo...)
	slices.Sort(subject.Bases)
	for id, secret := range in.Build.Secrets {
		switch {
		case secret.Environment != "":
			subject.SecretEnvironment[id] = secret.Environment
		case filepath.IsAbs(secret.File):
			subject.SecretFiles[id] = secret.File
		}
	}
	p := a.Policies.Policy()
	broken := p.JudgeBuild(subject)
	if len(broken) == 0 {
		return nil
	}
	return fault.New(fault.Forbidden, "%s", policy.Sentence("builder "+a.Name, p.Name(), "the build of "+in.Image, broken)).
		WithHint("change the build, or that file on the builder's host")
}
