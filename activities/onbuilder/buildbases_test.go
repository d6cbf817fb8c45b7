package onbuilder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBasesOfAContainerfile(t *testing.T) {
	text := `# FROM nothing
ARG BASE=registry:5000/base:1
arg TAG
FROM --platform=linux/amd64 ${BASE} as build
ARG BASE=ignored
RUN --mount=type=bind,from=registry:5000/tools,target=/t make
FROM registry:5000/run:$TAG
COPY --from=build /a /a
COPY --chown=1 \
  --from=registry:5000/files /b /b
COPY --from=0 /c /c
FROM scratch
`
	images, unknown := bases(text, map[string]string{"TAG": "v2"})
	require.Equal(t, []string{"registry:5000/base:1", "registry:5000/tools", "registry:5000/run:v2", "registry:5000/files"}, images)
	require.Empty(t, unknown)
	images, unknown = bases("FROM scratch\nCOPY app /app\n", nil)
	require.Empty(t, images)
	require.Empty(t, unknown)
	images, unknown = bases("ARG HOST\nFROM ${HOST:-evil.example}/x\nFROM $HOST/y\nFROM ${NONE}\n", map[string]string{"HOST": "plain:5000"})
	require.Equal(t, []string{"plain:5000/y"}, images)
	require.Equal(t, []string{"${HOST:-evil.example}/x", "${NONE}"}, unknown, "the policy refuses what it cannot know")
}

func TestOneRegistryThatHasCertificatesKeepsThemVerified(t *testing.T) {
	b := &Builder{Insecure: func(image string) bool { return strings.HasPrefix(image, "plain:5000/") }}
	for text, want := range map[string]bool{
		"FROM plain:5000/a\n":                               true,
		"FROM plain:5000/a\nCOPY --from=docker.io/b / /\n":  false,
		"FROM scratch\n":                                    false,
		"FROM plain:5000/a AS x\nFROM x\nFROM plain:5000/b": true,
	} {
		file := filepath.Join(t.TempDir(), "Containerfile")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		images, _, err := basesOf(file, nil)
		require.NoError(t, err)
		require.Equal(t, want, b.basesInsecure(images), text)
	}
}
