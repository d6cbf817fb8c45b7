package images

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachRecipeIsReadAndHasALayerOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	for _, name := range append(Names(), base) {
		r, err := readRecipe(name)
		require.NoError(t, err)
		require.NotEmpty(t, append(r.Packages, r.Alone...), name)
		require.Equal(t, name == base, r.Tag == "", name)
		id, err := r.id()
		require.NoError(t, err)
		require.Empty(t, seen[id], name)
		seen[id] = name
	}
	_, err := readRecipe("unknown")
	require.ErrorContains(t, err, "there are django, mariadb")
}

func TestPathsOfPackagesAreThoseOfUsr(t *testing.T) {
	for path, want := range map[string]string{
		"./bin/sh": "usr/bin/sh", "./lib/x86_64-linux-gnu/libc.so.6": "usr/lib/x86_64-linux-gnu/libc.so.6", "./lib64": "usr/lib64",
		"./library/x": "library/x", "./": "", "./etc/../bin/x": "usr/bin/x", "../../etc/passwd": "etc/passwd",
	} {
		require.Equal(t, want, merged(path), path)
	}
}

func TestPatternsMatchPathsAndWhatIsBelowDirectories(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"usr/share/doc/", "usr/share/doc", true},
		{"usr/share/doc/", "usr/share/doc/redis/copyright", true},
		{"usr/share/doc/", "usr/share/docs/x", false},
		{"usr/lib/*/*.a", "usr/lib/x86_64-linux-gnu/libc.a", true},
		{"usr/lib/*/*.a", "usr/lib/libc.a", false},
		{"django/conf/locale/*/LC_MESSAGES/", "django/conf/locale/de/LC_MESSAGES/django.mo", true},
		{"django/conf/locale/*/LC_MESSAGES/", "django/conf/locale/de/formats.py", false},
		{"perl*", "perl-base", true},
	} {
		require.Equal(t, test.want, matches(test.pattern, test.path), "%s %s", test.pattern, test.path)
	}
}
