package servicedef

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/imageref"
	"github.com/metacircular/mcp/servicedef/names"
)

const (
	// maxPlatforms is more than any base image has.
	maxPlatforms = 16
	// longestArg bounds the values of args and labels, in bytes: all of them are part of
	// one request.
	longestArg = 32 << 10
)

var (
	variableName = pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
	stageName    = pattern(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	contextName  = pattern(`^[a-z0-9][a-z0-9._-]*$`)
	platformForm = pattern(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$`)
	labelName    = pattern(`^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`)
)

// build checks that each entry of [build.images] belongs to a component or a step, that
// its files are in the workspace, and that each {git} has an entry.
func (r *report) build(s *Service) {
	var used []string
	uses := func(key, image string) {
		name := ImageName(image)
		used = append(used, name)
		_, built := s.Build.Images[name]
		if built && pinned(image) {
			r.add(key, "must have a tag and no digest, because [build.images] builds it, and a build cannot choose its digest")
		}
		if !built && HasGit(image) {
			r.add(key, "has a tag of %s, which is the hash of an image's sources: [build.images] must say how %s is built", GitTag, name)
		}
	}
	for i, c := range s.Components {
		uses(componentKey(i, "image"), c.Image)
	}
	for i, step := range s.Steps {
		if step.Image != "" {
			uses(stepKey(i, "image"), step.Image)
		}
	}
	for name, b := range s.Build.Images {
		key := joinKey("build.images", name)
		if !slices.Contains(used, name) {
			r.add(key, "no component and no step uses an image of this name%s", didYouMean(name, used))
		}
		r.imageBuild(key, s, b)
	}
}

// imageBuild checks one entry.
func (r *report) imageBuild(key string, s *Service, b ImageBuild) {
	at := func(name string) string { return joinKey(key, name) }
	file := at("containerfile")
	if _, simple := b.simple(); simple {
		file = key
	}
	r.inWorkspace(at("context"), s.Path, b.Context)
	if context := s.ContextPath(b); !filepath.IsAbs(s.Path) && filepath.IsLocal(filepath.Join(".", context)) {
		r.inWorkspace(file, context, b.Containerfile)
	}
	for name, value := range b.Args {
		arg := joinKey(at("args"), name)
		if !variableName().MatchString(name) {
			r.add(arg, "must be the name of an ARG: letters, digits and _")
		}
		r.bounded(arg, value)
	}
	if b.Target != "" && !stageName().MatchString(b.Target) {
		r.add(at("target"), "must be the name or the number of a stage, not %q", b.Target)
	}
	for id, secret := range b.Secrets {
		r.buildSecret(joinKey(at("secrets"), id), s, id, secret)
	}
	if len(b.SSH) > 0 {
		r.add(at("ssh"), "no version of podman's API can forward an SSH agent into a build: use secrets, as in %s",
			`secrets = { deploy_key = { file = "…" } } and RUN --mount=type=secret,id=deploy_key`)
	}
	r.platforms(at("platforms"), b.Platforms)
	for name, value := range b.Contexts {
		r.context(joinKey(at("contexts"), name), s, name, value)
	}
	r.caches(at("cache_from"), b.CacheFrom)
	r.caches(at("cache_to"), b.CacheTo)
	for name, value := range b.Labels {
		label := joinKey(at("labels"), name)
		switch {
		case !labelName().MatchString(name):
			r.add(label, "must be a name of letters, digits, '.', '-', '_' and '/', such as org.opencontainers.image.title")
		case strings.HasPrefix(name, "mcp."):
			r.add(label, "must not begin with mcp., because mcp knows its containers by such labels")
		}
		r.bounded(label, value)
	}
}

// inWorkspace checks a path that is relative to a directory of the workspace.
func (r *report) inWorkspace(key, dir, path string) {
	switch {
	case path == "" || dir != "" && !filepath.IsLocal(dir): // which is a problem of path
	case filepath.IsAbs(path):
		r.add(key, "must be in the workspace and stay in it, relative to the service's path, unlike %q", path)
	case !filepath.IsLocal(filepath.Join(dir, path)):
		r.add(key, "must be in the workspace and stay in it, unlike %q, which is relative to %q", path, filepath.Join(".", dir))
	}
}

func (r *report) bounded(key, value string) {
	if len(value) > longestArg {
		r.add(key, "has %d bytes; the limit is %d", len(value), longestArg)
	}
}

func (r *report) buildSecret(key string, s *Service, id string, secret BuildSecret) {
	if !stageName().MatchString(id) {
		r.add(key, "must be an id of letters, digits, '.', '-' and '_', by which RUN --mount=type=secret names it")
	}
	sources := slices.DeleteFunc([]string{secret.Secret, secret.File, secret.Environment}, func(source string) bool { return source == "" })
	switch {
	case len(sources) != 1:
		r.add(key, "must have one of secret, file and environment: where the builder reads the secret")
	case secret.Secret != "" && !names.IsObject(secret.Secret):
		r.add(joinKey(key, "secret"), "must be the name of a secret, of letters, digits, '.', '-' and '_', not %q", secret.Secret)
	case secret.Environment != "" && !variableName().MatchString(secret.Environment):
		r.add(joinKey(key, "environment"), "must be the name of a variable, not %q", secret.Environment)
	case strings.HasPrefix(secret.Environment, "MCP_"):
		r.add(joinKey(key, "environment"), "must not be one of mcp's own variables, which may hold the builder's credentials")
	case secret.File != "" && !filepath.IsAbs(secret.File):
		r.inWorkspace(joinKey(key, "file"), s.Path, secret.File)
	}
}

func (r *report) platforms(key string, platforms []string) {
	if len(platforms) > maxPlatforms {
		r.add(key, "has %d platforms; the limit is %d", len(platforms), maxPlatforms)
		return
	}
	seen := map[string]bool{}
	for i, p := range platforms {
		switch at := elementKey(key, i); {
		case !platformForm().MatchString(p):
			r.add(at, `must be os/arch or os/arch/variant, such as "linux/arm64", not %q`, p)
		case seen[p]:
			r.add(at, "%s is there twice", p)
		}
		seen[p] = true
	}
}

func (r *report) context(key string, s *Service, name, value string) {
	if !contextName().MatchString(name) {
		r.add(key, "must be a name of lower-case letters, digits, '.', '-' and '_', as COPY --from takes it")
	}
	image, isImage := ContextImage(value)
	switch {
	case isImage:
		r.image(key, image)
	case strings.Contains(value, "://"):
		r.add(key, "must be a directory of the workspace or %sIMAGE, not %q", imageContext, value)
	case value == "":
		r.add(key, "must be a directory relative to the service's path, or %sIMAGE", imageContext)
	default:
		r.inWorkspace(key, s.Path, value)
	}
}

// caches checks repositories. Podman chooses the tags in them itself.
func (r *report) caches(key string, repositories []string) {
	for i, name := range repositories {
		at := elementKey(key, i)
		ref, err := imageref.Parse(name)
		switch {
		case err != nil:
			r.add(at, "%q is not a repository of an image registry: %v", name, err)
		case !qualified(name):
			r.add(at, "%q must begin with the host of its image registry, as in %q", name, ref.String())
		case ref.Tag != "" || ref.Digest != "":
			r.add(at, "%q must have neither tag nor digest: each layer gets a tag of its own", name)
		}
	}
}
