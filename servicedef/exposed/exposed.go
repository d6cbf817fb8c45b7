// Package exposed warns of secrets that stand in definitions: whoever reads a definition,
// mcp's registry or Temporal reads them.
package exposed

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/keypath"
	"github.com/metacircular/mcp/servicedef/lines"
)

// In warns of values in the text of a definition that look like secrets. There are none for
// a text that is not TOML, or too large. The messages contain no values.
func In(data []byte, file string) servicedef.Errors {
	var table map[string]any
	if len(data) > servicedef.MaxSize {
		return nil
	}
	if _, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&table); err != nil {
		return nil
	}
	e := &exposure{file: file, at: lines.Of(data)}
	e.definition("", table)
	return e.sorted()
}

// InEnvFiles warns of variables that a service gets from env_file and that look like
// secrets. Before is the definition without these variables.
func InEnvFiles(before, after *servicedef.Service, data []byte) servicedef.Errors {
	e := &exposure{file: before.File, at: lines.Of(data)}
	warned := map[string]bool{}
	for i, c := range after.Components {
		key := keypath.Join(keypath.Element("components", i), "env_file")
		if len(before.Components[i].EnvFile) == 0 {
			key = "env_file"
		}
		for _, name := range slices.Sorted(maps.Keys(c.Env)) {
			if _, own := before.Components[i].Env[name]; own || warned[key+" "+name] {
				continue
			}
			if look := lookOf(name, c.Env[name]); look != "" {
				warned[key+" "+name] = true
				e.add(key, "the variable "+name+" "+look)
			}
		}
	}
	return e.sorted()
}

// exposure collects values that look like secrets.
type exposure struct {
	file  string
	at    *lines.Index
	found servicedef.Errors
}

func (e *exposure) add(key, look string) {
	e.found = append(e.found, servicedef.Problem{File: e.file, Line: e.at.Line(key), Key: key, Message: look})
}

// sorted returns what was found, sorted by place.
func (e *exposure) sorted() servicedef.Errors {
	slices.SortStableFunc(e.found, func(a, b servicedef.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return e.found
}

// definition checks a definition or, with at, an environment's part of one.
func (e *exposure) definition(at string, table map[string]any) {
	shared, _ := table["env"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		if inner, environment := shared[name].(map[string]any); environment && at == "" {
			e.definition(keypath.Join("env", name), inner)
		}
	}
	e.variables(keypath.Join(at, "env"), shared, "")
	for _, list := range []string{"components", "steps"} {
		for i, element := range tablesIn(table[list]) {
			key := keypath.Element(keypath.Join(at, list), i)
			own, _ := element["env"].(map[string]any)
			e.variables(keypath.Join(key, "env"), own, "")
			health, _ := element["health"].(map[string]any)
			headers, _ := health["headers"].(map[string]any)
			e.variables(keypath.Join(keypath.Join(key, "health"), "headers"), headers, ", and the headers of a check are no place for one: let the program answer a path of its own without it")
			for n, f := range tablesIn(element["files"]) {
				if text, _ := f["content"].(string); privateKey.MatchString(text) {
					e.add(keypath.Element(keypath.Join(key, "files"), n)+".content", "has a private key in it"+fileWayOut)
				}
			}
		}
	}
	build, _ := table["build"].(map[string]any)
	images, _ := build["images"].(map[string]any)
	for _, image := range slices.Sorted(maps.Keys(images)) {
		made, _ := images[image].(map[string]any)
		args, _ := made["args"].(map[string]any)
		e.variables(keypath.Join(keypath.Join(keypath.Join(keypath.Join(at, "build"), "images"), image), "args"), args, ", and the history of the image has it: name it in secrets of that image, and read it with RUN --mount=type=secret")
	}
}

// tablesIn returns the tables of an array, in either of TOML's notations.
func tablesIn(value any) []map[string]any {
	switch list := value.(type) {
	case []map[string]any:
		return list
	case []any:
		var tables []map[string]any
		for _, element := range list {
			table, _ := element.(map[string]any)
			tables = append(tables, table)
		}
		return tables
	}
	return nil
}

// The ways out of what is exposed.
const (
	envWayOut  = ": make it a secret of the service, mcp secret set, and name that in secret_env"
	urlWayOut  = ": make it a secret of the service, mcp secret set, and write {secret:NAME|urlencode} in its place"
	textWayOut = ": make it a secret of the service, mcp secret set, and write {secret:NAME} in its place"
	fileWayOut = ": make it a secret of the service, mcp secret set, and name that in secrets with this target"
)

// variables checks the values of a table; wayOut replaces the way out for variables.
func (e *exposure) variables(key string, table map[string]any, wayOut string) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, text := table[name].(string)
		if !text {
			continue
		}
		look := lookOf(name, value)
		if look == "" {
			continue
		}
		if wayOut != "" {
			look, _, _ = strings.Cut(look, ": make it")
			look += wayOut
		}
		e.add(keypath.Join(key, name), look)
	}
}

var (
	privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|AGE-SECRET-KEY-1`)
	// issued matches tokens that their issuers make recognizable.
	issued = regexp.MustCompile(`^(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|xox[abprs]-[\w-]{10,}|sk_(live|test)_\w{10,}|sk-[\w-]{20,}|AKIA[0-9A-Z]{16}|npm_[A-Za-z0-9]{20,}|SG\.[\w-]{10,}\.[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)$`)
	// urlPassword and the others match passwords inside a value, each as a group.
	urlPassword = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\s:@]*:([^/?#\s@]+)@`)
	dsnPassword = regexp.MustCompile(`^[^:@/\s]+:([^@\s]+)@(?:tcp|unix)?\(`)
	setPassword = regexp.MustCompile(`(?i)(?:^|[\s;&?])(?:password|passwd|pwd)\s*=\s*([^\s;&]+)`)
	reference   = regexp.MustCompile(`^(\$\{?\w+(:?[-?+][^}]*)?\}?|\$\(\w+\)|%\w+%|<[^<>]*>|\{\{[^{}]*\}\}|\*+|[xX]{3,}|\.\.\.|…)$`)
	uuid        = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	token       = regexp.MustCompile(`^[A-Za-z0-9+/_=-]{20,}$`)
	hexadecimal = regexp.MustCompile(`^([0-9a-f]{32,}|[0-9A-F]{32,})$`)
)

// lookOf returns what a value looks like, with the way out; "" if it does not look like a
// secret.
func lookOf(name, value string) string {
	for _, p := range []struct {
		pattern *regexp.Regexp
		look    string
	}{
		{urlPassword, "has a URL with a password" + urlWayOut}, {dsnPassword, "has a password before the address" + textWayOut},
		{setPassword, "sets a password" + textWayOut},
	} {
		for _, found := range p.pattern.FindAllStringSubmatch(value, -1) {
			if given(found[1]) {
				return p.look
			}
		}
	}
	switch {
	case !given(value) || strings.Contains(value, secretMark):
		return ""
	case privateKey.MatchString(value):
		return "has a private key in it" + envWayOut
	case issued.MatchString(value):
		return "looks like a token of an API" + envWayOut
	case secretName(name) && !plainSetting(value):
		return "is named like a secret" + envWayOut
	case !publicName(name) && random(value):
		return "looks like a random key" + envWayOut
	}
	return ""
}

// secretMark begins a secret in a value: see envvalue.Parse.
const secretMark = "{secret:"

// given reports whether a text is a value itself, and not a reference, a path or a
// placeholder for one.
func given(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && !reference.MatchString(text) && !strings.Contains(text, secretMark)
}

// plainSetting reports whether the value of a variable with the name of a secret says how
// something is, and not what the secret is.
func plainSetting(value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	switch value {
	case "true", "false", "yes", "no", "on", "off", "none", "null", "auto", "required", "optional", "enabled", "disabled", "always", "never", "0", "1":
		return true
	}
	for _, prefix := range []string{"/", "./", "../", "~/", "file:", "http://", "https://", "arn:", "vault:", "op://"} {
		if strings.HasPrefix(value, prefix) {
			return true
		}
	}
	return false
}

// words returns the words of a variable's name, in upper case.
func words(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToUpper(r))
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return r == '_' || r == '-' || r == '.' })
}

// secretName reports whether the last word of a name is that of a secret. TOKEN_FILE,
// KEY_ID and PASSWORD_MIN_LENGTH end with others.
func secretName(name string) bool {
	list := words(name)
	if len(list) == 0 || publicName(name) {
		return false
	}
	switch list[len(list)-1] {
	case "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "CREDENTIALS", "AUTHORIZATION", "PGPASSWORD", "PASSWORT":
		return true
	case "PASS", "PWD":
		return len(list) > 1
	case "KEY":
		return len(list) > 1 && !slices.ContainsFunc(list, func(word string) bool { return slices.Contains(otherKeys, word) })
	}
	return false
}

// otherKeys are words beside KEY in names of keys that open nothing.
var otherKeys = []string{
	"PRIMARY", "FOREIGN", "SORT", "PARTITION", "CACHE", "ROUTING", "MAP", "HOT", "SHARD", "HASH", "OBJECT", "ROW", "LOOKUP", "TRANSLATION", "MESSAGE", "SITE",
}

// publicName reports whether a name has a word for something that anyone may know.
func publicName(name string) bool {
	return slices.ContainsFunc(words(name), func(word string) bool { return slices.Contains(publicWords, word) })
}

var publicWords = []string{
	"PUBLIC", "PUB", "PUBLISHABLE", "COMMIT", "SHA", "SHA1", "SHA256", "SHA512", "DIGEST", "HASH", "REVISION", "VERSION", "CHECKSUM", "FINGERPRINT", "ID",
	"UUID", "GUID", "CERT", "CERTIFICATE", "INTEGRITY", "ETAG", "BUILD", "SIGNERS",
}

// random reports whether a value is one word without meaning, such as a key in hexadecimal
// or base64.
func random(value string) bool {
	value = strings.TrimSpace(value)
	if !token.MatchString(value) || uuid.MatchString(value) || strings.HasPrefix(value, "/") {
		return false
	}
	if hexadecimal.MatchString(value) {
		return strings.ContainsAny(value, "0123456789") && strings.ContainsAny(strings.ToLower(value), "abcdef") && entropy(value) >= 3
	}
	var upper, lower, digits, changes int
	last := 0
	for _, r := range value {
		class := 4
		switch {
		case unicode.IsUpper(r):
			class = 1
			upper++
		case unicode.IsLower(r):
			class = 2
			lower++
		case unicode.IsDigit(r):
			class = 3
			digits++
		}
		if last != 0 && class != last {
			changes++
		}
		last = class
	}
	// Names in several words change between cases less often than random text does.
	return upper > 0 && lower > 0 && digits > 0 && float64(changes) >= 0.5*float64(len(value)) && entropy(value) >= 3.7
}

// entropy is Shannon's, in bits for each character.
func entropy(text string) float64 {
	counts := map[rune]int{}
	for _, r := range text {
		counts[r]++
	}
	var bits float64
	for _, n := range counts {
		p := float64(n) / float64(len(text))
		bits -= p * math.Log2(p)
	}
	return bits
}
