package images

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// forScripts are packages that only the scripts of packages need, which no image runs.
var forScripts = []string{
	"adduser", "apparmor", "debconf", "debianutils", "dmsetup", "dpkg", "init-system-helpers", "iproute2", "kmod",
	"libaudit-common", "libc-l10n", "libfdisk1", "libkmod2", "libdevmapper*", "libcryptsetup*", "libsystemd-shared",
	"libdb5.3", "libfile-find-rule-perl", "libgdbm*", "libip4tc2", "libmnl0", "libelf1", "libbpf1", "libxtables12",
	"libnumber-compare-perl", "libpam-modules*", "libperl5.36", "libsemanage*", "libsepol2", "libtext-glob-perl",
	"locales", "lsb-base", "mount", "netbase", "openssl", "passwd", "perl*", "procps", "psmisc", "libproc2-0", "sensible-utils", "ssl-cert",
	"systemd", "sysvinit-utils", "tar", "ucf", "usrmerge", "libcap2-bin", "libjson-perl", "libdbi-perl", "libconfig-inifiles-perl",
	"postgresql-common", "postgresql-client-common", "javascript-common", "gawk", "libmpfr6", "libsigsegv2",
}

// unwanted are paths that no image needs.
var unwanted = []string{
	"usr/share/doc/", "usr/share/doc-base/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/",
	"usr/share/bug/", "usr/share/icons/", "usr/share/bash-completion/", "usr/share/menu/", "usr/include/", "usr/lib/systemd/",
	"usr/lib/sysusers.d/", "usr/lib/tmpfiles.d/", "usr/share/gdb/", "usr/lib/*/pkgconfig/", "usr/share/apport/", "usr/share/pixmaps/",
	"usr/lib/*/*.a", "etc/init.d/", "etc/cron.*/", "etc/logrotate.d/", "etc/default/", "etc/apparmor.d/", "etc/ufw/", "etc/rc*.d/",
	"usr/lib/*/gconv/", "usr/share/i18n/", "usr/lib/*/sasl2/", "usr/share/fonts/",
}

// matches reports whether a path or a name is the one of a pattern, or below its
// directory.
func matches(pattern, name string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/"); ok {
		depth := strings.Count(dir, "/") + 1
		parts := strings.Split(name, "/")
		if len(parts) < depth {
			return false
		}
		pattern, name = dir, strings.Join(parts[:depth], "/")
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// layerWriter writes the files of packages, and those of a recipe, as one layer.
type layerWriter struct {
	recipe recipe
	tar    *tar.Writer
	seen   map[string]bool
	size   int64
	// certificates are those of the authorities that are trusted.
	certificates bytes.Buffer
	// libraries are the shared libraries: true if they are in this layer, false if in the
	// base layer.
	libraries map[string]bool
	// needed are the libraries that programs need, and one program that needs each.
	needed map[string]string
}

// write writes the recipe's own files first, which replace those of packages.
func (w *layerWriter) write(ctx context.Context, packages []string) error {
	w.needed = map[string]string{}
	if err := w.own(); err != nil {
		return err
	}
	for _, file := range packages {
		if err := w.unpack(ctx, file); err != nil {
			return fmt.Errorf("unpack %s: %w", path.Base(file), err)
		}
	}
	if w.certificates.Len() > 0 {
		return w.add(tar.Header{Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644}, w.certificates.Bytes())
	}
	return nil
}

// complete fails if a library is missing.
func (w *layerWriter) complete() error {
	var missing []string
	for library, program := range w.needed {
		if _, ok := w.libraries[library]; !ok {
			missing = append(missing, library+" of "+program)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fault.New(fault.Invalid, "the image lacks shared libraries: %s", strings.Join(missing, ", "))
}

// own writes the directories, links and files of the recipe.
func (w *layerWriter) own() error {
	for _, d := range w.recipe.Dirs {
		if err := w.add(tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(d.Path, "/"), Mode: d.Mode, Uid: d.UID, Gid: d.GID}, nil); err != nil {
			return err
		}
	}
	for _, link := range slices.Sorted(maps.Keys(w.recipe.Links)) {
		if err := w.add(tar.Header{Typeflag: tar.TypeSymlink, Name: strings.TrimPrefix(link, "/"), Linkname: w.recipe.Links[link], Mode: 0o777}, nil); err != nil {
			return err
		}
	}
	files, err := w.recipe.files()
	if err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name == "." {
			return nil // it has none
		}
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		mode := int64(0o644)
		if bytes.HasPrefix(text, []byte("#!")) {
			mode = 0o755
		}
		return w.add(tar.Header{Name: name, Mode: mode}, text)
	})
}

// unpack writes the files of a package.
func (w *layerWriter) unpack(ctx context.Context, file string) error {
	unpack := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	out, err := unpack.StdoutPipe()
	if err != nil {
		return err
	}
	var problem bytes.Buffer
	unpack.Stderr = &problem
	if err := unpack.Start(); err != nil {
		return fmt.Errorf("start dpkg-deb: %w", err)
	}
	copied := w.copy(tar.NewReader(out))
	_, _ = io.Copy(io.Discard, out)
	if err := unpack.Wait(); err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, strings.TrimSpace(problem.String()))
	}
	return copied
}

// copy copies the entries of a package, except the unwanted ones.
func (w *layerWriter) copy(from *tar.Reader) error {
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		header.Name = merged(header.Name)
		if header.Typeflag == tar.TypeLink {
			header.Linkname = merged(header.Linkname)
		}
		unwanted := slices.ContainsFunc(slices.Concat(unwanted, w.recipe.Remove), func(p string) bool { return matches(p, header.Name) })
		if header.Name == "" || unwanted {
			continue
		}
		text, err := io.ReadAll(from)
		if err != nil {
			return err
		}
		if err := w.add(*header, text); err != nil {
			return err
		}
	}
}

// merged returns the path of a package's file where bin, lib and sbin are links to those
// in usr.
func merged(name string) string {
	name = strings.Trim(path.Clean("/"+name), "/")
	for _, top := range []string{"bin", "sbin", "lib", "lib64"} {
		if name == top || strings.HasPrefix(name, top+"/") {
			return "usr/" + name
		}
	}
	return name
}

// add writes an entry, unless the layer has it already.
func (w *layerWriter) add(header tar.Header, text []byte) error {
	header.Name = strings.Trim(header.Name, "/")
	if w.seen[header.Name] {
		return nil
	}
	w.seen[header.Name] = true
	if header.Typeflag == 0 {
		header.Typeflag = tar.TypeReg
	}
	if header.Typeflag == tar.TypeReg {
		header.Size = int64(len(text))
		w.size += header.Size
		w.look(header.Name, text)
	}
	if header.ModTime.IsZero() {
		header.ModTime = time.Unix(0, 0)
	}
	header.Uname, header.Gname, header.PAXRecords, header.Format = "", "", nil, tar.FormatUnknown
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
	if header.Typeflag == tar.TypeSymlink && strings.Contains(path.Base(header.Name), ".so") {
		w.libraries[path.Base(header.Name)] = true
	}
	if err := w.tar.WriteHeader(&header); err != nil {
		return fmt.Errorf("write %s: %w", header.Name, err)
	}
	if _, err := w.tar.Write(text); err != nil {
		return fmt.Errorf("write %s: %w", header.Name, err)
	}
	return nil
}

// look notes what the layer needs and has: shared libraries and certificates.
func (w *layerWriter) look(name string, text []byte) {
	if strings.HasPrefix(name, "usr/share/ca-certificates/") {
		w.certificates.Write(text)
	}
	program, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return // it is none
	}
	if strings.Contains(path.Base(name), ".so") {
		w.libraries[path.Base(name)] = true
	}
	libraries, err := program.ImportedLibraries()
	if err != nil {
		return
	}
	for _, library := range libraries {
		w.needed[library] = name
	}
}
