package podman

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/hostfiles"
)

// labelFiles lists the files of the host that a container mounts, by their names there.
const labelFiles = "mcp.files"

// FilesIn sets the directory of the host in which the files of containers are kept. It
// must outlive a reboot, and have the same path for podman.
func (e *Engine) FilesIn(dir string) *Engine {
	e.filesDir = dir
	return e
}

// placeFiles makes the files of a container on the host, and labels the spec with them.
// It returns their paths by target. The caller holds e.placing for reading until the
// container exists.
func (e *Engine) placeFiles(ctx context.Context, spec *runtime.ContainerSpec) (map[string]string, error) {
	files := spec.Container.Files
	if len(files) == 0 {
		return nil, nil
	}
	dir, err := e.hostFiles(ctx)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	var names []string
	for _, f := range files {
		path, err := dir.Place(f)
		if err != nil {
			return nil, placingFault(err, spec.Name, f.Target)
		}
		paths[f.Target] = path
		names = append(names, filepath.Base(path))
	}
	labels := map[string]string{labelFiles: strings.Join(names, ",")}
	for name, value := range spec.Labels {
		labels[name] = value
	}
	spec.Labels = labels
	return paths, nil
}

// keepFiles makes the files of a container that exists.
func (e *Engine) keepFiles(ctx context.Context, spec runtime.ContainerSpec) error {
	e.placing.RLock()
	defer e.placing.RUnlock()
	_, err := e.placeFiles(ctx, &spec)
	return err
}

func placingFault(err error, container, target string) error {
	switch {
	case isDiskFull(err):
		return fault.Wrap(fault.DiskFull, err, "write file %s of container %s", target, container).WithHint("%s", diskHint)
	case errors.Is(err, os.ErrPermission):
		return fault.Wrap(fault.Invalid, err, "write file %s of container %s", target, container).
			WithHint("name a directory that the node's worker may write: [node] data in mcp.toml; only root can give a file to another user")
	}
	return fault.Wrap(fault.Internal, err, "write file %s of container %s", target, container)
}

// hostFiles returns the directory of this engine's files. Workers of several engines of
// one host may have one directory: each uses a part of it.
func (e *Engine) hostFiles(ctx context.Context) (hostfiles.Dir, error) {
	if e.filesDir == "" {
		return "", fault.New(fault.Invalid, "this worker has no directory for files of containers").
			WithHint("set data in [node] of its mcp.toml")
	}
	info, err := e.Info(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(info.Storage))
	return hostfiles.Dir(filepath.Join(e.filesDir, "files", hex.EncodeToString(sum[:8]))), nil
}

// sweepFiles removes the files that no container mounts any more.
func (e *Engine) sweepFiles(ctx context.Context) error {
	dir, err := e.hostFiles(ctx)
	if err != nil {
		return err
	}
	e.placing.Lock()
	defer e.placing.Unlock()
	containers, err := e.list(ctx, runtime.Selection{Labels: map[string]string{labelFiles: ""}})
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, c := range containers {
		for name := range strings.SplitSeq(c.Labels[labelFiles], ",") {
			used[name] = true
		}
	}
	if err := dir.Sweep(used); err != nil {
		return fault.Wrap(fault.Internal, err, "remove files of containers that are gone")
	}
	return nil
}
