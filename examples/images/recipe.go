package images

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/metacircular/mcp/internal/fault"
)

// recipes are the images: recipes/<name>/image.toml, and below rootfs the files that are
// not of a package.
//
//go:embed all:recipes
var recipes embed.FS

// recipe is an image.toml.
type recipe struct {
	name string
	// Tag is the image's name in an image registry, "postgres:15".
	Tag string
	// Packages are Debian's, with all that they depend on, except what the base layer has
	// and what only their scripts need.
	Packages []string
	// Alone are packages without what they depend on.
	Alone []string
	// Drop are further packages, and Remove further paths, that the image does without.
	// A path ends with "/" for a directory, and may contain the wildcards of path.Match.
	Drop, Remove []string
	// Links are symbolic links, by path, and Dirs empty directories.
	Links map[string]string
	Dirs  []dir

	// The configuration, in the words of a Containerfile.
	User, Workdir   string
	Env             []string
	Entrypoint, Cmd []string
	Expose, Volumes []string
	StopSignal      string `toml:"stop_signal"`
}

// dir is an empty directory and its owner.
type dir struct {
	Path     string
	UID, GID int
	Mode     int64
}

func readRecipe(image string) (recipe, error) {
	r := recipe{name: image}
	text, err := recipes.ReadFile(path.Join("recipes", image, "image.toml"))
	if err != nil {
		return r, fault.New(fault.NotFound, "there is no recipe for an image %s; there are %s", image, strings.Join(Names(), ", "))
	}
	read, err := toml.Decode(string(text), &r)
	if err != nil {
		return r, fault.Wrap(fault.Invalid, err, "read the recipe of %s", image)
	}
	if unknown := read.Undecoded(); len(unknown) > 0 {
		return r, fault.New(fault.Invalid, "read the recipe of %s: unknown key %s", image, unknown[0])
	}
	return r, nil
}

// files are the recipe's own files below rootfs.
func (r recipe) files() (fs.FS, error) {
	below, err := fs.Sub(recipes, path.Join("recipes", r.name, "rootfs"))
	if err != nil {
		return nil, fmt.Errorf("read the files of %s: %w", r.name, err)
	}
	return below, nil
}

func (r recipe) config() v1.Config {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	config := v1.Config{
		User: r.User, WorkingDir: r.Workdir, Env: append(env, r.Env...), Entrypoint: r.Entrypoint, Cmd: r.Cmd, StopSignal: r.StopSignal,
	}
	for _, port := range r.Expose {
		config.ExposedPorts = added(config.ExposedPorts, port)
	}
	for _, volume := range r.Volumes {
		config.Volumes = added(config.Volumes, volume)
	}
	return config
}

func added(set map[string]struct{}, key string) map[string]struct{} {
	if set == nil {
		set = map[string]struct{}{}
	}
	set[key] = struct{}{}
	return set
}

// format is incremented when the same recipe yields a different layer.
const format = "1"

// id identifies the layer of a recipe: what it is made of, except the versions of the
// packages, which the archive chooses when the layer is made.
func (r recipe) id() (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s %s\n", format, runtime.GOARCH, suite, keyring)
	for _, root := range slices.Compact([]string{path.Join("recipes", base), path.Join("recipes", r.name)}) {
		err := fs.WalkDir(recipes, root, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := recipes.ReadFile(file)
			fmt.Fprintf(sum, "%s %d\n%s", file, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read the recipe of %s: %w", r.name, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}
