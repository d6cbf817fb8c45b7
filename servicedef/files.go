package servicedef

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// File is a file that mcp makes and mounts read-only in a container. Exactly one of
// Source, Content and Base64 is given; ReadSources replaces Source by what the file has.
type File struct {
	// Target is the file's absolute path in the container.
	Target string `toml:"target" json:"target"`
	// Source is a file relative to Service.Path.
	Source string `toml:"source" json:"source,omitempty"`
	// Content is a text. An empty one is the content of a file without Source and Base64.
	Content string `toml:"content" json:"content,omitempty"`
	// Base64 is content that is no text.
	Base64 string `toml:"base64" json:"base64,omitempty"`
	// Mode is octal; "" means "0444".
	Mode string `toml:"mode" json:"mode,omitempty"`
	// UID and GID own the file, in the ids of the node.
	UID int `toml:"uid" json:"uid,omitempty"`
	GID int `toml:"gid" json:"gid,omitempty"`
	// Digest is the SHA-256 of the content, in hex, where the content was left out.
	Digest string `toml:"-" json:"digest,omitempty"`
}

// WithoutContents returns the definition with the digests of its files instead of their
// contents, for lists of many. It has the same Hash, and cannot be deployed.
func (s Service) WithoutContents() Service {
	s.Components = slices.Clone(s.Components)
	for i := range s.Components {
		c := &s.Components[i]
		c.Files = slices.Clone(c.Files)
		for n := range c.Files {
			if f := &c.Files[n]; f.Source == "" {
				f.Digest = f.digest()
				f.Content, f.Base64 = "", ""
			}
		}
	}
	return s
}

// digest returns the SHA-256 of the content, in hex.
func (f File) digest() string {
	if f.Digest != "" {
		return f.Digest
	}
	data, err := f.Data()
	if err != nil {
		data = []byte(f.Base64) // no definition that is valid has such content
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// maxFile bounds one file, and a file of variables. Larger ones belong into an image.
const maxFile = 256 << 10

// Data returns the content of the file.
func (f File) Data() ([]byte, error) {
	if f.Base64 != "" {
		return base64.StdEncoding.DecodeString(f.Base64)
	}
	return []byte(f.Content), nil
}

// setData replaces what the definition says of the content by the content itself.
func (f *File) setData(data []byte) {
	f.Source, f.Content, f.Base64 = "", "", ""
	if utf8.Valid(data) && !strings.ContainsRune(string(data), 0) {
		f.Content = string(data)
	} else {
		f.Base64 = base64.StdEncoding.EncodeToString(data)
	}
}

// defaultFileMode is the mode of files and of secrets: every user may read them.
const defaultFileMode = 0o444

// fileMode matches an octal mode without the bits of set-uid, set-gid and sticky.
var fileMode = pattern(`^0?[0-7]{3}$`)

// FileMode returns the permissions that the text of a mode gives; 0444 for "".
func FileMode(mode string) uint32 {
	bits, err := strconv.ParseUint(cmp.Or(mode, "0444"), 8, 32)
	if err != nil {
		return defaultFileMode
	}
	return uint32(bits)
}

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
		case len(data) > maxFile:
			r.add(at(cmp.Or(strings.Join(given, ""), "content")), "has %d KiB; the limit is %d KiB: put it into an image or a volume", len(data)>>10, maxFile>>10)
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

// matches reports whether a pattern that compiles late matches.
func matches(p func() *regexp.Regexp, text string) bool { return p().MatchString(text) }
