package servicedef

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
)

// Settings returns the settings of the container that differ from the default, by key:
// "read_only", and with the name for what has names: "labels.team", "files./etc/app.conf".
// A file's value is a hash of its content, with its mode and owner if it sets them.
func (c Container) Settings() map[string]string {
	settings := map[string]string{}
	value := reflect.ValueOf(c)
	for _, field := range fieldsOf(value.Type()) {
		key, v := field.Tag.Get("toml"), value.FieldByIndex(field.Index)
		switch {
		case v.IsZero():
		case field.Type == reflect.TypeFor[[]File]():
			for _, f := range c.Files {
				settings[key+"."+f.Target] = f.summary()
			}
		case v.Kind() == reflect.Map:
			for _, name := range v.MapKeys() {
				settings[key+"."+name.String()] = unquoted(renderValue(v.MapIndex(name)))
			}
		case v.Kind() == reflect.Slice:
			settings[key] = fmt.Sprint(v.Interface())
		default:
			settings[key] = unquoted(renderValue(v))
		}
	}
	return settings
}

// unquoted is a rendered value without the quotes of a text.
func unquoted(text string) string {
	return strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
}

// summary is the file in a few words.
func (f File) summary() string {
	text := f.digest()[:12]
	if f.Source != "" {
		text = "from " + f.Source
	}
	return text + ownerText(f.UID, f.GID, f.Mode)
}

func ownerText(uid, gid int, mode string) string {
	var text string
	if FileMode(mode) != defaultFileMode {
		text = " mode " + mode
	}
	if uid != 0 || gid != 0 {
		text += fmt.Sprintf(" of %d:%d", uid, gid)
	}
	return text
}

// String describes the secret: its name, and what else the definition sets.
func (s Secret) String() string {
	text := cmp.Or(s.Source, `""`)
	if s.Target != "" {
		text += " at " + s.Path()
	}
	return text + ownerText(s.UID, s.GID, s.Mode)
}
