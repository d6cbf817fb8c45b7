package compose

import (
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/internal/imageref"
	"github.com/metacircular/mcp/servicedef"
)

// unnamedRegistry is the host in the image of a build whose image registry is not
// known.
const unnamedRegistry = "registry.example"

// image takes over the image, and how it is built.
func (c *component) image() {
	image, build := c.node.Get("image"), c.node.Get("build")
	built := c.build(build)
	switch {
	case built != nil:
		reference := c.builtImage(image)
		name := servicedef.ImageName(reference)
		if former, other := c.im.images[name]; other && !maps.EqualFunc(tableOf(former), tableOf(simple(built)), equal) {
			c.im.failed = append(c.im.failed, build.Errorf("%s builds the image %s in another way than a service before it: give them images of their own", c.key, name))
			return
		}
		c.im.images[name], c.im.imageNodes[name] = simple(built), build
		c.im.imageKeys[name] = c.key
		c.im.sources = build
		from := build
		if !image.Empty() {
			from = image
		}
		c.set("image", reference, from, "image")
	case !image.Empty():
		c.set("image", c.qualified(image), image, "image")
	case !build.Empty():
		reference := c.builtImage(image)
		c.im.note(build, c.key+".build", "its image is %s, which mcp does not build: push it, or write how to build it", reference)
		c.set("image", reference, build, "image")
	default:
		c.im.failed = append(c.im.failed, c.node.Errorf("%s has neither an image nor a build", c.key))
	}
}

// qualified returns the whole reference of an image.
func (c *component) qualified(n *source.Node) string {
	ref, err := imageref.Parse(n.Text)
	if err != nil {
		c.im.failed = append(c.im.failed, n.Errorf("%s.image: %q is no image: %w", c.key, n.Text, err))
		return n.Text
	}
	if ref.Tag == "" && ref.Digest == "" {
		ref.Tag = "latest"
		c.im.note(n, c.key+".image", "has no tag, and gets latest: a tag that stays with one version makes rollbacks mean something")
	}
	return ref.String()
}

// builtImage returns the reference of an image that is built.
func (c *component) builtImage(n *source.Node) string {
	registry := c.im.options.Registry
	if registry == "" {
		registry = unnamedRegistry
	}
	whole := registry + "/" + c.im.name + "-" + c.name + ":v1"
	if !n.Empty() {
		host, _, _ := strings.Cut(n.Text, "/")
		if whole = n.Text; !strings.Contains(n.Text, "/") || !strings.ContainsAny(host, ".:") && host != "localhost" {
			whole = registry + "/" + n.Text
		}
		ref, err := imageref.Parse(whole)
		if err != nil {
			c.im.failed = append(c.im.failed, n.Errorf("%s.image: %q is no image: %w", c.key, n.Text, err))
			return whole
		}
		if ref.Tag == "" {
			ref.Tag = "v1"
		}
		whole = ref.String()
	}
	if strings.HasPrefix(whole, unnamedRegistry+"/") {
		c.im.note(c.node, c.key, "its image is %s: write the image registry that it is pushed to", whole)
	}
	return whole
}

// build returns a build in the form of [build.images]; nil for none.
func (c *component) build(build *source.Node) map[string]any {
	if build.Empty() {
		build.Take()
		return nil
	}
	context := build.Get("context")
	dir := c.im.project.Dir()
	if given := text(context); given != "" {
		if u, err := url.Parse(given); err == nil && u.Scheme != "" || strings.HasPrefix(given, "git@") {
			c.note(context, "build.context", "is not taken over: mcp builds sources of the workspace, and %s is none", given)
			return nil
		}
		dir = c.im.project.Path(context, given)
	}
	b := map[string]any{}
	relative, ok := c.im.local(dir)
	if !ok {
		c.note(context, "build.context", "is not taken over: %s is outside of the project; path of the definition can be a directory above both", text(context))
		return nil
	}
	if relative != "." {
		b["context"] = relative
	}
	b["containerfile"] = "Dockerfile"
	if file := build.Get("dockerfile"); !file.Empty() {
		b["containerfile"] = filepath.Clean(file.Take().Text)
	}
	if inline := build.Get("dockerfile_inline"); !inline.Empty() {
		b["containerfile"] = "Containerfile." + c.name
		c.note(inline, "build.dockerfile_inline", "is not taken over: write it into the file %s", filepath.Join(relative, "Containerfile."+c.name))
	}
	context.Take()
	c.buildSettings(build, b)
	return b
}

func (c *component) buildSettings(build *source.Node, b map[string]any) {
	if target := build.Get("target"); !target.Empty() {
		b["target"] = target.Take().Text
	}
	if truth(build.Get("no_cache")) {
		b["no_cache"] = true
	}
	build.Get("no_cache").Take()
	for key, to := range map[string]string{"args": "args", "labels": "labels", "additional_contexts": "contexts"} {
		fields := map[string]any{}
		for _, name := range keysOf(build.Get(key)) {
			value := build.Get(key).Get(name)
			given := text(value)
			if value.Empty() && key == "args" {
				given, _ = c.im.project.Lookup(name)
			}
			fields[name] = given
		}
		if build.Get(key).Take(); len(fields) > 0 {
			b[to] = fields
		}
	}
	for key, to := range map[string]string{"platforms": "platforms", "cache_from": "cache_from", "cache_to": "cache_to", "ssh": "ssh"} {
		if list := texts(build.Get(key)); len(list) > 0 {
			b[to] = list
			build.Get(key).Take()
		}
	}
	c.buildSecrets(build, b)
}

// buildSecrets takes over the secrets that steps of a build read.
func (c *component) buildSecrets(build *source.Node, b map[string]any) {
	secrets := map[string]any{}
	for i, item := range itemsOf(build.Get("secrets")) {
		source, id := text(item), text(item)
		if item.Get("source") != nil {
			source, id = text(item.Get("source")), text(item.Get("source"))
			if target := text(item.Get("target")); target != "" {
				id = filepath.Base(target)
			}
		}
		declared := c.im.project.Root.Get("secrets").Get(source)
		if own := declared.Get(Extension).Get("secret"); !own.Empty() {
			secrets[id] = map[string]any{"secret": own.Take().Text}
			declared.Get("environment").Take()
			item.Take()
			continue
		}
		switch file, variable := declared.Get("file"), declared.Get("environment"); {
		case !file.Empty():
			path := c.im.project.Path(file, file.Text)
			if local, ok := c.im.local(path); ok {
				path = local
			}
			secrets[id] = map[string]any{"file": path}
			file.Take()
		case !variable.Empty():
			secrets[id] = map[string]any{"environment": variable.Take().Text}
		default:
			c.note(item, "build.secrets["+strconv.Itoa(i)+"]", "is not taken over: the file does not say where the secret %s is", source)
			continue
		}
		item.Take()
	}
	if len(secrets) > 0 {
		b["secrets"] = secrets
	}
}

// simple returns the Containerfile of a build that has nothing else.
func simple(b map[string]any) any {
	if len(b) == 1 {
		return b["containerfile"]
	}
	return b
}

func tableOf(value any) map[string]any {
	if t, ok := value.(map[string]any); ok {
		return t
	}
	return map[string]any{"containerfile": value}
}

// equal compares values of tables.
func equal(a, b any) bool {
	switch v := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(v, other, equal)
	case []string:
		other, ok := b.([]string)
		return ok && slices.Equal(v, other)
	}
	return a == b
}
