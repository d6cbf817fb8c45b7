package compose_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/compose"
	"github.com/metacircular/mcp/internal/compose/source"
	"github.com/metacircular/mcp/servicedef"
)

// project writes files into a directory called shop, and returns it.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// options are those of an import of the file compose.yaml of a directory.
func options(dir string) compose.Options {
	return compose.Options{
		Options: source.Options{
			Files:  []string{filepath.Join(dir, "compose.yaml")},
			Getenv: func(string) (string, bool) { return "", false },
		},
		Node: "rift", Registry: "registry.example:5000",
	}
}

// imported imports one file, and requires that the definition parses to what it says.
func imported(t *testing.T, text string) *compose.Imported {
	t.Helper()
	made, err := compose.Import(options(project(t, map[string]string{"compose.yaml": text})))
	require.NoError(t, err)
	again, err := servicedef.Parse([]byte(made.Text), "shop.toml")
	require.NoError(t, err)
	require.Equal(t, made.Service, again)
	return made
}

// one imports a service of an image with these lines.
func one(t *testing.T, lines string) (servicedef.Component, *compose.Imported) {
	t.Helper()
	text := "services:\n  web:\n    image: nginx:1.27\n"
	for line := range strings.SplitSeq(strings.Trim(lines, "\n"), "\n") {
		text += "    " + line + "\n"
	}
	made := imported(t, text)
	return made.Service.Components[0], made
}

// places returns the lines and keys of notes.
func places(notes []compose.Note) []string {
	var list []string
	for _, n := range notes {
		list = append(list, fmt.Sprintf("%d %s", n.Line, n.Key))
	}
	return list
}

func TestImportTakesOver(t *testing.T) {
	type check func(t *testing.T, c servicedef.Component)
	equal := func(want any, of func(servicedef.Component) any) check {
		return func(t *testing.T, c servicedef.Component) { require.Equal(t, want, of(c)) }
	}
	cmd := func(c servicedef.Component) any { return c.Cmd }
	ports := func(c servicedef.Component) any { return c.Ports }
	volumes := func(c servicedef.Component) any { return c.Volumes }
	health := func(c servicedef.Component) any { return c.Health.Cmd }
	env := func(c servicedef.Component) any { return c.Env }
	for name, test := range map[string]struct {
		lines string
		check check
	}{
		"an image without a host":        {"restart: always", equal("docker.io/library/nginx:1.27", func(c servicedef.Component) any { return c.Image })},
		"a command as a list":            {`command: [serve, "a b"]`, equal([]string{"serve", "a b"}, cmd)},
		"a command as a text":            {`command: serve --name 'a b' "$$HOME"`, equal([]string{"serve", "--name", "a b", "$HOME"}, cmd)},
		"a command without a value":      {"command:", equal([]string(nil), cmd)},
		"a folded command":               {"command: >\n  serve\n  --fast", equal([]string{"serve", "--fast"}, cmd)},
		"ports":                          {`ports: ["8080:80", "127.0.0.1:9000-9001:9000-9001/udp", "[::1]:1:2"]`, equal([]string{"8080:80", "127.0.0.1:9000-9001:9000-9001/udp", "[::1]:1:2"}, ports)},
		"ports in the long form":         {"ports:\n  - { target: 80, published: \"8080\", host_ip: 127.0.0.1, protocol: tcp, mode: host }", equal([]string{"127.0.0.1:8080:80"}, ports)},
		"ports as numbers of sixty":      {"ports:\n  - 22:22", equal([]string{"22:22"}, ports)},
		"named volumes":                  {"volumes: [\"data:/data\", \"/srv/x:/x:ro,z\", \"data2:/y:cached\"]", equal([]string{"shop-data:/data", "/srv/x:/x:ro,z", "shop-data2:/y"}, volumes)},
		"volumes in the long form":       {"volumes:\n  - { type: volume, source: data, target: /data, volume: { nocopy: true } }\n  - { type: bind, source: /srv/x, target: /x, read_only: true, bind: { propagation: rslave } }", equal([]string{"shop-data:/data:nocopy", "/srv/x:/x:ro,rslave"}, volumes)},
		"a directory of the project":     {"volumes: [./html:/usr/share/nginx/html:ro]", equal([]string{"/srv/shop/html:/usr/share/nginx/html:ro"}, volumes)},
		"a health check of a shell":      {"healthcheck: { test: curl -f localhost }", equal([]string{"/bin/sh", "-c", "curl -f localhost"}, health)},
		"a health check, CMD-SHELL":      {`healthcheck: { test: [CMD-SHELL, "a || b"] }`, equal([]string{"/bin/sh", "-c", "a || b"}, health)},
		"a health check, CMD":            {`healthcheck: { test: [CMD, curl, localhost] }`, equal([]string{"curl", "localhost"}, health)},
		"a health check, NONE":           {`healthcheck: { test: [NONE] }`, equal([]string(nil), health)},
		"a health check that is off":     {`healthcheck: { disable: true, test: [CMD, x] }`, equal([]string(nil), health)},
		"variables as a list":            {`environment: [A=1, "B=x=y", C=]`, equal(map[string]string{"A": "1", "B": "x=y", "C": ""}, env)},
		"variables as a map":             {"environment: { A: 1, B: true, C: \"\", D: 1.50 }", equal(map[string]string{"A": "1", "B": "true", "C": "", "D": "1.50"}, env)},
		"a limit of memory":              {"mem_limit: 1gb", equal("1gb", func(c servicedef.Component) any { return c.Memory })},
		"limits of deploy":               {"deploy: { replicas: 1, resources: { limits: { memory: 64M, cpus: '0.5' } } }", equal(0.5, func(c servicedef.Component) any { return c.CPUs })},
		"an order":                       {"deploy: { update_config: { order: stop-first } }", equal(servicedef.StopFirst, func(c servicedef.Component) any { return c.Order })},
		"a policy of restarts":           {"deploy: { restart_policy: { condition: on-failure, max_attempts: 3 } }", equal("on-failure:3", func(c servicedef.Component) any { return c.Restart })},
		"restart: no":                    {"restart: no", equal("no", func(c servicedef.Component) any { return c.Restart })},
		"a period of grace":              {"stop_grace_period: 1m30s", equal("1m30s", func(c servicedef.Component) any { text, _ := c.StopTimeout.MarshalText(); return string(text) })},
		"the host's network":             {"network_mode: host", equal("host", func(c servicedef.Component) any { return c.Network })},
		"a log":                          {"logging: { driver: json-file, options: { max-size: 10m } }", equal("10m", func(c servicedef.Component) any { return c.LogSize })},
		"a port that the engine chooses": {"ports: [\"80\"]", equal(80, func(c servicedef.Component) any { return c.Routes[0].ContainerPort })},
	} {
		t.Run(name, func(t *testing.T) {
			c, made := one(t, test.lines)
			test.check(t, c)
			for _, n := range made.Notes {
				require.Contains(t, n.Message, "on the node: copy")
			}
		})
	}
}

func TestImportListsWhatItDoesNotTakeOver(t *testing.T) {
	_, made := one(t, `
container_name: web
privileged: true
volumes: [/var/lib/x, "~/x:/x", "../out:/out"]
ports: ["8000-8010:80", "x:80", {published: 3}]
deploy: { replicas: 3, placement: { constraints: [a] } }
environment: { DB_PASSWORD: hunter2, HOME_OF: }
depends_on: { gone: { condition: service_healthy } }
cpus: fast
network_mode: service:db
blkio_config: { weight: 300 }
x-own: 5
annotations: { a: b }`)
	require.Equal(t, []string{
		"4 services.web.container_name", "5 services.web.privileged", "6 services.web.volumes[0]", "6 services.web.volumes[1]", "6 services.web.volumes[2]",
		"7 services.web.ports[0]", "7 services.web.ports[1]", "7 services.web.ports[2]",
		"8 services.web.deploy.placement", "8 services.web.deploy.replicas",
		"9 services.web.environment.DB_PASSWORD", "9 services.web.environment.HOME_OF",
		"10 services.web.depends_on.gone", "11 services.web.cpus", "12 services.web.network_mode",
		"13 services.web.blkio_config", "15 services.web.annotations",
	}, places(made.Notes))
}

func TestImportReadsBuilds(t *testing.T) {
	for name, test := range map[string]struct{ build, image, want string }{
		"a path":                {"build: .", "", "Dockerfile"},
		"a table":               {"build: { context: ., dockerfile: deploy/Dockerfile.web }", "", "deploy/Dockerfile.web"},
		"a table without one":   {"build: { dockerfile: Containerfile }", "", "Containerfile"},
		"a path, and an image":  {"build: .\n    image: team/app:v2", "registry.example:5000/team/app:v2", "Dockerfile"},
		"an image with a host":  {"build: .\n    image: ghcr.io/team/app", "ghcr.io/team/app:v1", "Dockerfile"},
		"an image on localhost": {"build: .\n    image: localhost/app:v1", "localhost/app:v1", "Dockerfile"},
	} {
		t.Run(name, func(t *testing.T) {
			made := imported(t, "services:\n  web:\n    "+test.build+"\n")
			image := made.Service.Components[0].Image
			if test.image == "" {
				test.image = "registry.example:5000/shop-web:v1"
			}
			require.Equal(t, test.image, image)
			file, ok := made.Service.ImageBuild(image)
			require.True(t, ok)
			require.Equal(t, test.want, file.Containerfile)
			require.Equal(t, "shop", made.Service.Path)
		})
	}
	for name, build := range map[string]string{
		"a repository":       "build: https://github.com/x/y.git",
		"an outer directory": "build: ../other",
	} {
		t.Run(name, func(t *testing.T) {
			made := imported(t, "services:\n  web:\n    image: nginx:1\n    "+build+"\n")
			require.Empty(t, made.Service.Build.Images)
			require.Len(t, made.Notes, 1)
			made = imported(t, "services:\n  web:\n    "+build+"\n")
			require.Equal(t, "registry.example:5000/shop-web:v1", made.Service.Components[0].Image)
			require.Len(t, made.Notes, 2)
			require.Contains(t, made.Notes[0].String()+made.Notes[1].String(), "services.web.build: its image is registry.example:5000/shop-web:v1, which mcp does not build")
		})
	}
	t.Run("an inline file", func(t *testing.T) {
		made := imported(t, "services:\n  web:\n    build: { context: src, dockerfile_inline: FROM x }\n")
		file, ok := made.Service.ImageBuild(made.Service.Components[0].Image)
		require.True(t, ok)
		require.Equal(t, "Containerfile.web", file.Containerfile)
		require.Equal(t, []string{"3 services.web.build.dockerfile_inline"}, places(made.Notes))
		require.Contains(t, made.Notes[0].Message, "write it into the file src/Containerfile.web")
	})
}

func TestImportMergesFiles(t *testing.T) {
	dir := project(t, map[string]string{
		".env": "TAG=1.27\nCOMPOSE_PROFILES=tools\n",
		"compose.yaml": `
name: Front_End
include:
  - db/compose.yaml
services:
  web:
    extends: { file: common.yaml, service: base }
    image: nginx:${TAG:?needed}
    environment: [B=2]
    ports: !override ["81:80"]
  tool:
    image: busybox:1
    profiles: [tools]
  debug:
    image: busybox:1
    profiles: [debug]
`,
		"common.yaml": `
services:
  base:
    extends: root
    environment: { A: "${TAG}", B: "1" }
    ports: ["80:80"]
    volumes: [./conf:/conf]
  root:
    image: none:1
    stop_grace_period: 5s
    labels: { x: y }
`,
		"db/.env":         "TAG=17\nVERSION=17\n",
		"db/compose.yaml": "services:\n  db:\n    image: postgres:${VERSION}\n    volumes: [data:/data, ./init:/init]\nvolumes: { data: { name: old_data } }\n",
		"prod.yaml":       "services:\n  web:\n    environment: { C: $MISSING }\n    stop_grace_period: !reset null\n    volumes: [\"new:/conf\"]\n",
	})
	o := options(dir)
	o.Files = append(o.Files, filepath.Join(dir, "prod.yaml"))
	made, err := compose.Import(o)
	require.NoError(t, err)
	require.Equal(t, "front-end", made.Service.Name)
	require.Len(t, made.Service.Components, 3)
	web, _ := made.Service.Component("web")
	require.Equal(t, "docker.io/library/nginx:1.27", web.Image)
	require.Equal(t, map[string]string{"A": "1.27", "B": "2", "C": ""}, web.Env)
	require.Equal(t, []string{"81:80"}, web.Ports)
	require.Equal(t, []string{"front-end-new:/conf"}, web.Volumes)
	db, _ := made.Service.Component("db")
	require.Equal(t, "docker.io/library/postgres:17", db.Image)
	require.Equal(t, []string{"old_data:/data", "/srv/front-end/db/init:/init"}, db.Volumes)
	_, ok := made.Service.Component("tool")
	require.True(t, ok)
	var said []string
	for _, n := range made.Notes {
		said = append(said, n.String())
	}
	require.Contains(t, strings.Join(said, "\n"), filepath.Join(dir, "compose.yaml")+":14: services.debug: is left out, because its profiles are off")
	require.Contains(t, strings.Join(said, "\n"), filepath.Join(dir, "prod.yaml")+":3: variable MISSING is not set, and taken as empty")
}

func TestImportRefuses(t *testing.T) {
	bomb := "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for i, c := range "bcdefghi" {
		bomb += fmt.Sprintf("x-%c: &%c [*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c,*%[3]c]\n", c, c, 'a'+rune(i))
	}
	for name, test := range map[string]struct{ text, want string }{
		"no YAML":             {"services: [", "compose.yaml: is not YAML: "},
		"nothing":             {"", "compose.yaml: is empty"},
		"a list":              {"- a", "compose.yaml:1: is no Compose file"},
		"no services":         {"name: x", "it has no services"},
		"a service as a text": {"services:\n  web: nginx", "compose.yaml:2: service web must be a map"},
		"two documents":       {"services: {}\n---\nservices: {}", "has more than one YAML document"},
		"a key twice":         {"services:\n  web: {image: a}\n  web: {image: b}", "compose.yaml:3: web is a key already, in line 2"},
		"a bomb":              {bomb + "services: {web: {image: a}}", "has more than 200000 values, with those that aliases repeat"},
		"an anchor in itself": {"services: &a\n  web: *a", "the anchor a contains itself"},
		"deep nesting":        {"services: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "is nested deeper than 100 levels"},
		"a huge file":         {"#" + strings.Repeat("x", 1<<20), "the limit is 1024 KiB"},
		"a cycle of extends":  {"services:\n  a: {extends: b}\n  b: {extends: a}", "services extend one another"},
		"extends of nothing":  {"services:\n  a: {extends: b}", `compose.yaml:2: extends service "b", which compose.yaml does not have`},
		"extends of no file":  {"services:\n  a: {extends: {file: gone.yaml, service: b}}", "compose.yaml:2: extends gone.yaml: "},
		"a cycle of includes": {"include: [compose.yaml]\nservices: {a: {image: b}}", "includes itself"},
		"include of no file":  {"include: [gone.yaml]\nservices: {a: {image: b}}", "compose.yaml:1: include: "},
		"a bad variable":      {"services:\n  a: {image: \"${}\"}", "compose.yaml:2: "},
		"a needed variable":   {"services:\n  a: {image: \"${X:?say which}\"}", "say which"},
		"no image":            {"services:\n  a: {command: x}", "compose.yaml:2: services.a has neither an image nor a build"},
		"a bad image":         {"services:\n  a: {image: \"UP/x::y\"}", `services.a.image: "UP/x::y" is no image`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compose.Import(options(project(t, map[string]string{"compose.yaml": test.text})))
			require.ErrorContains(t, err, test.want)
		})
	}
	_, err := compose.Import(options(t.TempDir()))
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, absent := range []string{"include: [gone.yaml]\nservices: {a: {image: b}}", "services:\n  a: {extends: {file: gone.yaml, service: b}}"} {
		_, err = compose.Import(options(project(t, map[string]string{"compose.yaml": absent})))
		require.ErrorIs(t, err, os.ErrNotExist, absent)
	}
	o := options(project(t, map[string]string{"compose.yaml": "services: {a: {image: b}}"}))
	o.Name = "Not A Name"
	_, err = compose.Import(o)
	require.ErrorContains(t, err, "give --name")
}
