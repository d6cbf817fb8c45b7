// Package images makes the images of the databases, servers and languages that the
// example applications run: file systems made of Debian packages, without another base.
// They stand for what docker.io would serve, so that the examples run where no image can
// be pulled.
//
// A directory of recipes holds one image: its packages, its configuration, and files of
// its own. No script of a package is run: what an image needs from one is in the image's
// own files. All images share one layer.
package images

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/fault"
)

// base is the recipe of the layer that all images share.
const base = "base"

// Maker makes images.
type Maker struct {
	// Cache is a directory that keeps packages and layers. A layer that is there is not
	// made again, and needs no archive.
	Cache string
	// Mirror is the URL of the Debian archive; "" means deb.debian.org.
	Mirror string
	// Log receives a line for each layer that is made, and for each image.
	Log io.Writer

	apt *archive
}

// NewMaker returns a Maker with the user's cache and the mirror of MCP_DEBIAN_MIRROR.
func NewMaker(log io.Writer) (*Maker, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache for images: %w", err)
	}
	return &Maker{Cache: filepath.Join(cache, "mcp-examples"), Mirror: os.Getenv("MCP_DEBIAN_MIRROR"), Log: log}, nil
}

// Push makes images, and pushes each to the image registry at an address, which speaks
// plain http, as <name>:<tag>. Without names it pushes all.
func (m *Maker) Push(ctx context.Context, registry string, names ...string) error {
	if len(names) == 0 {
		names = Names()
	}
	shared, err := m.layer(ctx, base)
	if err != nil {
		return err
	}
	var pushes errgroup.Group
	for _, image := range names {
		r, err := readRecipe(image)
		if err != nil {
			return err
		}
		own, err := m.layer(ctx, image)
		if err != nil {
			return err
		}
		pushes.Go(func() error {
			if err := push(ctx, registry+"/"+r.Tag, r.config(), shared, own); err != nil {
				return err
			}
			fmt.Fprintf(m.Log, "pushed %-40s %4d MB, and %d MB that all share\n", registry+"/"+r.Tag, own.Size>>20, shared.Size>>20)
			return nil
		})
	}
	return pushes.Wait()
}

// push pushes an image of layers, of which the image registry may have some.
func push(ctx context.Context, reference string, config v1.Config, layers ...layer) error {
	to, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "name the image %s", reference)
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for _, l := range layers {
		file, err := l.open()
		if err != nil {
			return err
		}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: file, MediaType: types.OCILayer}); err != nil {
			return fmt.Errorf("add a layer to %s: %w", reference, err)
		}
	}
	whole, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("configure %s: %w", reference, err)
	}
	whole = whole.DeepCopy()
	whole.OS, whole.Architecture, whole.Config = "linux", runtime.GOARCH, config
	if image, err = mutate.ConfigFile(image, whole); err != nil {
		return fmt.Errorf("configure %s: %w", reference, err)
	}
	if err := remote.Write(to, image, remote.WithContext(ctx)); err != nil {
		return fault.Wrap(fault.Unavailable, err, "push %s", reference).
			WithHint("is the image registry running? mcp dev starts one")
	}
	return nil
}

// Names returns the names of all images.
func Names() []string {
	entries, err := recipes.ReadDir("recipes")
	if err != nil {
		panic(err) // they are part of the program
	}
	var names []string
	for _, e := range entries {
		if e.Name() != base {
			names = append(names, path.Base(e.Name()))
		}
	}
	return names
}
