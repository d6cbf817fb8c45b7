package threat

import (
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// hostile are strings that a terminal obeys, or that hide what they say. Each has the
// mark.
var hostile = []string{
	"\x1b]52;c;ZXZpbA==\x07evil",            // writes the clipboard
	"\x1b]0;evil\x07",                       // the title of the window
	"\x1b]8;;http://evil.example\x1b\\evil", // a link
	"\x1b[2J\x1b[Hevil",                     // erases all
	"\x1b[1A\x1b[2Kevil",                    // rewrites the line before
	"\x1b[8mevil\x1b[28m",                   // is invisible
	"\x1b[6nevil", "\x1b[cevil",             // have the terminal type an answer
	"\x1bcevil", "\x1bPevil\x1b\\", // resets, and sends, a device control string
	"good\revil", "good\b\b\b\bevil", "\x7fevil", "\v\f\a\x0e\x0fevil",
	"\u009b2Jevil", "\u009d0;evil\u009c", "\u0090evil\u009c", "\u0085evil", // the same in eight bits
	"\u202eevil\u202c", "\u2066evil\u2069", "\u200f\u061cevil", // turn the direction
	"\u2028evil\u2029",                       // end a line elsewhere
	"\x9b2Jevil", "\xc3evil", "\xff\xfeevil", // are not UTF-8
}

// mark is in each hostile string.
const mark = "evil"

// all is every hostile string, on one line.
var all = strings.Join(hostile, " ")

// inJSON is all as JSON, and so Temporal, has it: bytes that are not UTF-8 are lost.
var inJSON = strings.ToValidUTF8(all, "\uFFFD") + " \x00evil"

// filled returns a pointer to a value of a type with text in every string of it, one
// element in every list and map and, where more is set, a value behind each pointer and
// true in each bool.
func filled(t reflect.Type, more bool) any {
	v := reflect.New(t)
	fill(v.Elem(), more)
	return v.Interface()
}

func fill(v reflect.Value, more bool) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Now().Add(-time.Hour)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(inJSON)
	case reflect.Bool:
		v.SetBool(more)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(all))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), more)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, more)
		fill(value, more)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		if more {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), more)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), more)
			}
		}
	}
}

// own are the sequences of mcp's own screen: colours, and the redrawing of live lines.
var own = regexp.MustCompile("\x1b\\[(m|0m|2m|3[123]m)|\r\x1b\\[\\d*A\x1b\\[J")

// obeyed are the characters of a program's output that a terminal does not simply show.
func obeyed(output string) []string {
	output = own.ReplaceAllString(strings.ReplaceAll(output, "\r\n", "\n"), "")
	var list []string
	for i := 0; i < len(output); {
		r, size := utf8.DecodeRuneInString(output[i:])
		bad := r == utf8.RuneError && size == 1 || unicode.IsControl(r) && r != '\n' && r != '\t' ||
			unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
		if bad {
			list = append(list, output[max(0, i-20):min(len(output), i+20)])
		}
		i += size
	}
	return list
}
