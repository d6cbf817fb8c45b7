package servicedef

import (
	"cmp"
	"reflect"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef/composekeys"
)

// definition decodes a definition, and fills in its defaults.
func (r *report) definition(table map[string]any) *Service {
	s := &Service{File: r.file, Active: true}
	r.decode("", table, reflect.ValueOf(s).Elem())
	s.setDefaults(table)
	return s
}

// fromTOML is a type with a notation of its own in a definition.
type fromTOML interface {
	// decodeTOML sets the receiver, and reports what is wrong.
	decodeTOML(r *report, key string, value any)
	// wanted describes the notation: "a string or an array of strings".
	wanted() string
}

// decode copies a decoded TOML value into a Go one, by its toml tags, and reports
// every unknown key and every value of a wrong type. (The TOML package's own
// decoder stops at the first.) Empty arrays and tables become nil, so that a
// round trip through JSON does not change a definition.
func (r *report) decode(key string, value any, into reflect.Value) {
	switch special := into.Addr().Interface().(type) {
	case *Duration:
		r.decodeDuration(key, value, special)
		return
	case fromTOML:
		special.decodeTOML(r, key, value)
		return
	}
	if h, ok := into.Addr().Interface().(*Hostnames); ok {
		if name, single := value.(string); single {
			*h = hostnames(name)
			r.refuseNUL(key, name)
			return
		}
	}
	if b, ok := into.Addr().Interface().(*ImageBuild); ok {
		if file, single := value.(string); single {
			if b.Containerfile = file; file == "" {
				r.reject(key, "must name a Containerfile")
			}
			r.refuseNUL(key, file)
			return
		}
	}
	var fits bool
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		r.decode(key, value, into.Elem())
		return
	case reflect.Struct:
		table, ok := value.(map[string]any)
		if fits = ok; ok {
			r.decodeStruct(key, table, into)
		}
	case reflect.Map:
		table, ok := value.(map[string]any)
		if fits = ok; ok {
			r.decodeMap(key, table, into)
		}
	case reflect.Slice:
		array := reflect.ValueOf(value)
		if fits = array.Kind() == reflect.Slice; fits {
			r.decodeSlice(key, array, into)
		}
	case reflect.Float64:
		number := reflect.ValueOf(value)
		if fits = number.CanInt() || number.CanFloat(); fits {
			into.Set(number.Convert(into.Type()))
		}
	default: // string, bool and int have a TOML type each
		scalar := reflect.ValueOf(value)
		if fits = sameKind(scalar.Kind(), into.Kind()); fits {
			into.Set(scalar.Convert(into.Type()))
		}
	}
	if !fits {
		r.reject(key, "must be %s, not %s", wanted(into.Type()), found(value))
	} else if text, ok := value.(string); ok {
		r.refuseNUL(key, text)
	}
}

func (r *report) refuseNUL(key, text string) {
	if strings.ContainsRune(text, 0) {
		r.reject(key, "must not contain a NUL character")
	}
}

// elsewhere maps keys that do not belong at the top of a definition to where they belong.
var elsewhere = map[string]string{
	"jobs":     "a job is one of the components, with a schedule",
	"job":      "a job is one of the components, with a schedule",
	"services": "a service is a file, and its containers are components",
	"routes":   "a component has routes",
	"secrets":  "a component has secrets",
	"volumes":  "a component has volumes",
}

func (r *report) decodeStruct(key string, table map[string]any, into reflect.Value) {
	fields := map[string]reflect.Value{}
	var known []string
	for _, field := range fieldsOf(into.Type()) {
		name := field.Tag.Get("toml")
		fields[name] = into.FieldByIndex(field.Index)
		known = append(known, name)
	}
	for name, value := range table {
		if field, ok := fields[name]; ok {
			r.decode(joinKey(key, name), value, field)
			continue
		}
		meant := cmp.Or(ofOthers(name, into.Type()), didYouMean(name, known))
		if ours := composekeys.Ours(name, known); ours != "" {
			meant = "; what Compose calls " + name + " is " + ours
		} else if place := elsewhere[joinKey(key, name)]; place != "" {
			meant = "; " + place
		}
		r.reject(joinKey(key, name), "unknown key%s", meant)
	}
}

// ofOthers returns the end of the message about an unknown key that other tools have.
func ofOthers(name string, table reflect.Type) string {
	of := table == reflect.TypeFor[Component]() || name == "replicas" && table == reflect.TypeFor[Service]()
	if text := composekeys.Instead(name); of && text != "" {
		return ": " + text
	}
	return ""
}

// fieldsOf returns the fields of a struct that are keys of TOML, including those of
// embedded structs.
func fieldsOf(table reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for _, field := range reflect.VisibleFields(table) {
		if name := field.Tag.Get("toml"); name != "" && name != "-" {
			fields = append(fields, field)
		}
	}
	return fields
}

func (r *report) decodeMap(key string, table map[string]any, into reflect.Value) {
	if len(table) == 0 {
		return
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(table)))
	for name, value := range table {
		element := reflect.New(into.Type().Elem()).Elem()
		r.decode(joinKey(key, name), value, element)
		into.SetMapIndex(reflect.ValueOf(name), element)
	}
}

func (r *report) decodeSlice(key string, array, into reflect.Value) {
	if array.Len() == 0 {
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), array.Len(), array.Len()))
	for i := range array.Len() {
		r.decode(elementKey(key, i), array.Index(i).Interface(), into.Index(i))
	}
}

func (r *report) decodeDuration(key string, value any, into *Duration) {
	text, ok := value.(string)
	if !ok {
		r.reject(key, `must be a duration such as "10s", not %s`, found(value))
	} else if err := into.UnmarshalText([]byte(text)); err != nil {
		r.reject(key, `must be a duration such as "10s" or "1m30s", not %q`, text)
	}
}

// sameKind reports whether a TOML scalar fits a field: TOML integers are int64.
func sameKind(value, field reflect.Kind) bool {
	return value == field || value == reflect.Int64 && field == reflect.Int
}

// wanted describes a type in the terms of TOML.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Hostnames]():
		return "a string or an array of strings"
	case reflect.TypeFor[ImageBuild]():
		return "the name of a Containerfile, or a table"
	}
	if special, ok := reflect.New(t).Interface().(fromTOML); ok {
		return special.wanted()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		if special, ok := reflect.New(t.Elem()).Interface().(fromTOML); ok {
			return "an array, each element " + special.wanted()
		}
		if t.Elem().Kind() == reflect.Struct {
			return "an array of tables, each under its own [[header]]"
		}
		return "an array of strings"
	}
	return "a table"
}

// found describes the type of a TOML value.
func found(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}
