package images

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

const (
	// suite is the release of Debian whose packages the images have, whatever this
	// machine runs.
	suite   = "bookworm"
	keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	// aLayer bounds the download of a layer's packages.
	aLayer = 10 * time.Minute
)

// archive is apt with a state of its own: nothing is installed in it, and this machine's
// is not touched.
type archive struct {
	dir, mirror string
	updated     bool
}

// archive returns apt, whose lists are fetched once.
func (m *Maker) archive() (*archive, error) {
	if m.apt != nil {
		return m.apt, nil
	}
	a := &archive{dir: filepath.Join(m.Cache, "apt"), mirror: m.Mirror}
	if a.mirror == "" {
		a.mirror = "http://deb.debian.org"
	}
	if _, err := os.Stat(keyring); err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "find the keys of Debian's archive").WithHint("install the package debian-archive-keyring")
	}
	for _, dir := range []string{"lists/partial", "archives/partial", "packages"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o755); err != nil {
			return nil, fmt.Errorf("make apt's directory: %w", err)
		}
	}
	sources := fmt.Sprintf("deb [signed-by=%[1]s] %[2]s/debian %[3]s main\ndeb [signed-by=%[1]s] %[2]s/debian-security %[3]s-security main\n",
		keyring, strings.TrimSuffix(a.mirror, "/"), suite)
	for file, text := range map[string]string{"sources.list": sources, "status": ""} {
		if err := os.WriteFile(filepath.Join(a.dir, file), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	m.apt = a
	return a, nil
}

// apt runs apt-get, and returns its output.
func (a *archive) apt(ctx context.Context, dir string, args ...string) (string, error) {
	options := map[string]string{
		"Dir::Etc::SourceList": filepath.Join(a.dir, "sources.list"), "Dir::Etc::SourceParts": "/dev/null",
		"Dir::State": a.dir, "Dir::State::Lists": filepath.Join(a.dir, "lists"), "Dir::State::Status": filepath.Join(a.dir, "status"),
		"Dir::Cache": a.dir, "APT::Install-Recommends": "false", "APT::Sandbox::User": "root", "Acquire::Languages": "none",
		"Acquire::http::Timeout": "30", "Acquire::Retries": "3", "APT::Update::Error-Mode": "any", "Debug::NoLocking": "true",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
	}
	command := exec.CommandContext(ctx, "apt-get", "--quiet", "--yes")
	command.Dir = dir
	command.Env = append(os.Environ(), "LC_ALL=C")
	for key, value := range options {
		command.Args = append(command.Args, "-o", key+"="+value)
	}
	command.Args = append(command.Args, args...)
	var out, problem bytes.Buffer
	command.Stdout, command.Stderr = &out, &problem
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		lines := strings.TrimSpace(problem.String())
		return "", fault.Wrap(fault.Unavailable, err, "apt-get %s: %s", args[0], lines).
			WithHint("the images need Debian's archive at %s once; try again when it can be reached, or name another with MCP_DEBIAN_MIRROR", a.mirror)
	}
	return out.String(), nil
}

// file matches a line of apt-get --print-uris, 'http://…' mosquitto_2.0.11_amd64.deb 409696 …
var file = regexp.MustCompile(`(?m)^'\S+' (([a-z0-9.+-]+)_\S+\.deb) `)

// closure returns the packages that the given ones need, themselves among them: the
// names of their files by package.
func (a *archive) closure(ctx context.Context, packages []string) (map[string]string, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	if !a.updated {
		if _, err := a.apt(ctx, a.dir, "update"); err != nil {
			return nil, err
		}
		a.updated = true
	}
	out, err := a.apt(ctx, a.dir, append([]string{"install", "--print-uris"}, packages...)...)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, line := range file.FindAllStringSubmatch(out, -1) {
		files[line[2]] = line[1]
	}
	for _, wanted := range packages {
		if files[wanted] == "" {
			return nil, fault.New(fault.NotFound, "Debian %s has no package %s", suite, wanted)
		}
	}
	return files, nil
}

// download returns the paths of packages' files, in the order of their names.
func (a *archive) download(ctx context.Context, files map[string]string) ([]string, error) {
	dir := filepath.Join(a.dir, "packages")
	var paths, missing []string
	for name, file := range files {
		paths = append(paths, filepath.Join(dir, file))
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(paths)
	slices.Sort(missing)
	if len(missing) > 0 {
		if _, err := a.apt(ctx, dir, append([]string{"download"}, missing...)...); err != nil {
			return nil, err
		}
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("download %s: %w", filepath.Base(path), err)
		}
	}
	return paths, nil
}
