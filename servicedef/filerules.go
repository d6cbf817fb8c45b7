package servicedef

import (
	"cmp"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef/workspace"
)

// fileMode matches an octal mode without the bits of set-uid, set-gid and sticky.
var fileMode = pattern(`^0?[0-7]{3}$`)

// ownership checks the mode and the owner of a file or a secret.
func (r *report) ownership(key string, uid, gid int, mode string) {
	if mode != "" && !fileMode().MatchString(mode) {
		r.add(joinKey(key, "mode"), `must be octal, such as "0440", not %q`, mode)
	}
	for name, id := range map[string]int{"uid": uid, "gid": gid} {
		if id < 0 || id > maxID {
			r.add(joinKey(key, name), "must be from 0 to %d", maxID)
		}
	}
}

// files checks the files of a component.
func (r *report) files(key string, files []File) {
	for i, f := range files {
		at := func(name string) string { return joinKey(elementKey(key, i), name) }
		if !path.IsAbs(f.Target) || path.Clean(f.Target) != f.Target || f.Target == "/" || strings.Contains(f.Target, ":") {
			r.add(at("target"), "must be an absolute path without ., .. and a colon, not %q", f.Target)
		}
		var given []string
		for _, source := range [][2]string{{"source", f.Source}, {"content", f.Content}, {"base64", f.Base64}} {
			if source[1] != "" {
				given = append(given, source[0])
			}
		}
		if len(given) > 1 {
			r.add(at(given[1]), "excludes %s: a file has one of source, content and base64", given[0])
		}
		if f.Digest != "" {
			r.add(at("content"), "is missing: it was left out of this list of definitions")
		}
		if f.Source != "" {
			r.sourcePath(at("source"), f.Source)
		}
		switch data, err := f.Data(); {
		case err != nil:
			r.add(at("base64"), "is not base64 of RFC 4648: %v", err)
		case len(data) > workspace.MaxFile:
			r.add(at(cmp.Or(strings.Join(given, ""), "content")), "has %d KiB; the limit is %d KiB: put it into an image or a volume", len(data)>>10, workspace.MaxFile>>10)
		}
		r.ownership(elementKey(key, i), f.UID, f.GID, f.Mode)
	}
}

// sourcePath checks the path of a file in the workspace.
func (r *report) sourcePath(key, name string) {
	if !filepath.IsLocal(name) || path.Clean(name) == "." {
		r.add(key, "must be relative to path in the workspace and stay in it, not %q", name)
	}
}

// mounts checks that no two things are mounted on one path of the container.
func (r *report) mounts(key string, c Component) {
	taken := map[string]string{}
	mount := func(at, target string) {
		if before, is := taken[target]; is {
			r.add(at, "%s is mounted by %s already", target, before)
			return
		}
		taken[target] = at
	}
	for i, volume := range c.Volumes {
		if parts := strings.Split(volume, ":"); len(parts) > 1 {
			if target := path.Clean(parts[1]); taken[target] == "" { // volumes reports others
				taken[target] = elementKey(joinKey(key, "volumes"), i)
			}
		}
	}
	for i, text := range c.Tmpfs {
		target, _, _ := strings.Cut(text, ":")
		mount(elementKey(joinKey(key, "tmpfs"), i), path.Clean(target))
	}
	for i, f := range c.Files {
		mount(joinKey(elementKey(joinKey(key, "files"), i), "target"), path.Clean(f.Target))
	}
	for i, secret := range c.Secrets {
		if slices.IndexFunc(c.Secrets, func(s Secret) bool { return s.Source == secret.Source }) == i { // secrets reports others
			mount(elementKey(joinKey(key, "secrets"), i), secret.Path())
		}
	}
}

// tmpfsOption matches an option of a mount of tmpfs.
var tmpfsOption = pattern(`^(ro|rw|suid|nosuid|dev|nodev|exec|noexec|size=[0-9]+[kmgKMG%]?|mode=[0-7]{3,4}|uid=[0-9]+|gid=[0-9]+|nr_inodes=[0-9]+[kmgKMG]?|nr_blocks=[0-9]+[kmgKMG]?|tmpcopyup|notmpcopyup|noatime|relatime)$`)

// tmpfs checks "/path[:options]".
func (r *report) tmpfs(key string, mounts []string) {
	for i, text := range mounts {
		target, options, given := strings.Cut(text, ":")
		if !path.IsAbs(target) || path.Clean(target) == "/" {
			r.add(elementKey(key, i), `must be "/path[:options]" with an absolute path other than /, not %q`, text)
		}
		if !given {
			continue
		}
		for option := range strings.SplitSeq(options, ",") {
			if !tmpfsOption().MatchString(option) {
				r.add(elementKey(key, i), `unknown option %q; options are size=64m, mode=1777, uid=, gid=, noexec and others of tmpfs`, option)
			}
		}
	}
}
