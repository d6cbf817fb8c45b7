package images

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/renameio/v2"
)

// layer is a compressed layer in the cache, as the file beside it describes it.
type layer struct {
	path string
	// Packages are the files of the packages in it, whose names contain their
	// versions.
	Packages []string `json:"packages"`
	// Size is that of its files, in bytes.
	Size int64 `json:"size"`
	// Libraries are the shared libraries in it.
	Libraries []string `json:"libraries"`
}

func (l layer) open() (v1.Layer, error) {
	opened, err := tarball.LayerFromFile(l.path, tarball.WithCompression(compression.GZip))
	if err != nil {
		return nil, fmt.Errorf("read the layer %s: %w", l.path, err)
	}
	return opened, nil
}

// layer returns the layer of a recipe, and makes it unless the cache has it.
func (m *Maker) layer(ctx context.Context, image string) (layer, error) {
	r, err := readRecipe(image)
	if err != nil {
		return layer{}, err
	}
	id, err := r.id()
	if err != nil {
		return layer{}, err
	}
	dir := filepath.Join(m.Cache, "layers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return layer{}, fmt.Errorf("make the cache: %w", err)
	}
	unlock, err := lock(filepath.Join(m.Cache, "lock"))
	if err != nil {
		return layer{}, err
	}
	defer unlock()
	l := layer{path: filepath.Join(dir, r.name+"-"+id+".tar.gz")}
	description := strings.TrimSuffix(l.path, ".tar.gz") + ".json"
	if text, err := os.ReadFile(description); err == nil && json.Unmarshal(text, &l) == nil {
		return l, nil
	}
	fmt.Fprintf(m.Log, "making the layer of %s\n", r.name)
	if err := m.make(ctx, r, &l); err != nil {
		return layer{}, fmt.Errorf("make the layer of %s: %w", r.name, err)
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return layer{}, fmt.Errorf("describe the layer of %s: %w", r.name, err)
	}
	// The layer is complete when its description is there.
	return l, renameio.WriteFile(description, text, 0o644)
}

// lock waits until no other process makes layers in the cache.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

// make writes the layer of a recipe.
func (m *Maker) make(ctx context.Context, r recipe, l *layer) error {
	ctx, cancel := context.WithTimeout(ctx, aLayer)
	defer cancel()
	paths, libraries, err := m.packages(ctx, r)
	if err != nil {
		return err
	}
	file, err := renameio.NewPendingFile(l.path, renameio.WithTempDir(filepath.Dir(l.path)))
	if err != nil {
		return fmt.Errorf("write the layer: %w", err)
	}
	defer func() { _ = file.Cleanup() }()
	packed, err := gzip.NewWriterLevel(file, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := &layerWriter{recipe: r, tar: tar.NewWriter(packed), seen: map[string]bool{}, libraries: libraries}
	if err := w.write(ctx, paths); err != nil {
		return err
	}
	if err := w.tar.Close(); err != nil {
		return fmt.Errorf("write the layer: %w", err)
	}
	if err := packed.Close(); err != nil {
		return fmt.Errorf("write the layer: %w", err)
	}
	if err := w.complete(); err != nil {
		return err
	}
	l.Size = w.size
	for _, path := range paths {
		l.Packages = append(l.Packages, filepath.Base(path))
	}
	for name, own := range w.libraries {
		if own {
			l.Libraries = append(l.Libraries, name)
		}
	}
	slices.Sort(l.Libraries)
	return file.CloseAtomicallyReplace()
}

// packages downloads the packages of a recipe. It returns their files, and the shared
// libraries that the base layer has.
func (m *Maker) packages(ctx context.Context, r recipe) ([]string, map[string]bool, error) {
	a, err := m.archive()
	if err != nil {
		return nil, nil, err
	}
	files, err := a.closure(ctx, r.Packages)
	if err != nil {
		return nil, nil, err
	}
	if files == nil {
		files = map[string]string{}
	}
	alone, err := a.closure(ctx, r.Alone)
	if err != nil {
		return nil, nil, err
	}
	shared := recipe{}
	libraries := map[string]bool{}
	if r.name != base {
		if shared, err = readRecipe(base); err != nil {
			return nil, nil, err
		}
		have, err := a.closure(ctx, shared.Packages)
		if err != nil {
			return nil, nil, err
		}
		maps.DeleteFunc(files, func(name, _ string) bool { return have[name] != "" && !slices.Contains(shared.Drop, name) })
		for _, name := range m.baseLibraries() {
			libraries[name] = false
		}
	}
	for _, name := range r.Alone {
		files[name] = alone[name]
	}
	drop := slices.Concat(forScripts, r.Drop)
	maps.DeleteFunc(files, func(name, _ string) bool {
		return slices.ContainsFunc(drop, func(pattern string) bool { return matches(pattern, name) })
	})
	paths, err := a.download(ctx, files)
	return paths, libraries, err
}

// baseLibraries returns the shared libraries of the base layer, which is in the cache.
func (m *Maker) baseLibraries() []string {
	var l layer
	r, err := readRecipe(base)
	if err != nil {
		return nil
	}
	id, err := r.id()
	if err != nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(m.Cache, "layers", base+"-"+id+".json"))
	if err != nil || json.Unmarshal(text, &l) != nil {
		return nil
	}
	return l.Libraries
}
