package envvalue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef/envvalue"
)

func TestValuesOfVariablesMayHaveSecrets(t *testing.T) {
	for value, want := range map[string]string{
		"":                      "",
		"info":                  "info",
		"{secret:db}":           "<p@ss/ wörd>",
		"{secret:db|urlencode}": "%3Cp%40ss%2F%20w%C3%B6rd%3E",
		"postgres://app:{secret:db|urlencode}@db:5432/app?sslmode=disable": "postgres://app:%3Cp%40ss%2F%20w%C3%B6rd%3E@db:5432/app?sslmode=disable",
		"{secret:user}:{secret:db}":                                        "app:<p@ss/ wörd>",
		`{"a": {"b": "{secret:user}"}}`:                                    `{"a": {"b": "app"}}`,
		"{{secret:db}":                                                     "{secret:db}",
		"{{{secret:user}}":                                                 "{app}",
		"{{{{secret:user}":                                                 "{{secret:user}",
		"{ secret:db}":                                                     "{ secret:db}",
		"{SECRET:db}":                                                      "{SECRET:db}",
		"secret:db}":                                                       "secret:db}",
		"${secret}":                                                        "${secret}",
		"{secret}":                                                         "{secret}",
	} {
		parts, err := envvalue.Parse(value)
		require.NoError(t, err, value)
		require.Equal(t, want, envvalue.Compose(parts, func(name string) string {
			return map[string]string{"db": "<p@ss/ wörd>", "user": "app"}[name]
		}), value)
	}
}

func TestUnreservedCharactersAreNotEncoded(t *testing.T) {
	parts, err := envvalue.Parse("{secret:db|urlencode}")
	require.NoError(t, err)
	const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
	require.Equal(t, unreserved, envvalue.Compose(parts, func(string) string { return unreserved }))
	require.Equal(t, "%25%2B%20%00%0A", envvalue.Compose(parts, func(string) string { return "%+ \x00\n" }))
}

func TestAnEscapedTextHasNoSecrets(t *testing.T) {
	for _, text := range []string{"", "a", "{secret:db}", "{{secret:db}", "x{{{secret:db|nope", "{secret:{secret:"} {
		parts, err := envvalue.Parse(envvalue.Escape(text))
		require.NoError(t, err, text)
		require.Equal(t, text, envvalue.Compose(parts, func(string) string { return "SECRET" }), text)
	}
}

func TestPlainEnvHasNoSecrets(t *testing.T) {
	plain, composed := envvalue.Plain(map[string]string{"A": "a", "B": "{{secret:b}", "C": "c{secret:d}", "E": ""})
	require.Equal(t, map[string]string{"A": "a", "B": "{secret:b}", "E": ""}, plain)
	require.Equal(t, map[string][]envvalue.Part{"C": {{Text: "c"}, {Secret: "d"}}}, composed)
}
