package servicedef

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// File is a file that mcp makes and mounts read-only in a container. Exactly one of
// Source, Content and Base64 is given; ReadSources replaces Source with the content of
// that file.
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

// digest returns the SHA-256 of the content, in hex.
func (f File) digest() string {
	if f.Digest != "" {
		return f.Digest
	}
	data, err := f.Data()
	if err != nil {
		data = []byte(f.Base64) // no valid definition has such content
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Data returns the content of the file.
func (f File) Data() ([]byte, error) {
	if f.Base64 != "" {
		return base64.StdEncoding.DecodeString(f.Base64)
	}
	return []byte(f.Content), nil
}

// setData replaces what the definition says of the content with the content itself.
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

// FileMode returns the permissions that the text of a mode gives; 0444 for "".
func FileMode(mode string) uint32 {
	bits, err := strconv.ParseUint(cmp.Or(mode, "0444"), 8, 32)
	if err != nil {
		return defaultFileMode
	}
	return uint32(bits)
}
