package servicedef_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule is one edit of base that breaks one rule.
type rule struct {
	name, old, new string
	key            string
	message        string // a part of it
}

func TestEachRuleNamesLineAndKey(t *testing.T) {
	rules := []rule{
		{"no name", `name = "shop"`, ``, "name", "is required"},
		{"an empty name", `name = "shop"`, `name = ""`, "name", "is required"},
		{"a name with an underscore", `name = "shop"`, `name = "my_shop"`, "name", "DNS label"},
		{"a name that is too long", `name = "shop"`, `name = "` + strings.Repeat("a", 64) + `"`, "name", "DNS label"},
		{"a node that is no DNS name", `node = "rift"`, `node = "rift/1"`, "node", "DNS name"},
		{"a path that leaves the workspace", `path = "shop"`, `path = "a/../../b"`, "path", "stay in it"},
		{"an absolute path", `path = "shop"`, `path = "/srv"`, "path", "relative"},
		{"an image that no component uses", `shop-api = "C`, `shop-apy = "C`, "build.images.shop-apy", "did you mean shop-api?"},
		{"a Containerfile outside the sources", `"Containerfile"`, `"../../Containerfile"`, "build.images.shop-api", "stay in it"},
		{"a Containerfile without a name", `"Containerfile"`, `""`, "build.images.shop-api", "must name a Containerfile"},
		{"an image to build to a digest", `shop-api:v1`, `shop-api@sha256:` + strings.Repeat("a", 64), "components[0].image", "no digest"},

		{"a component name twice", `name = "db"`, `name = "api"`, "components[1].name", "taken by components[0].name"},
		{"a component name that is no label", `name = "db"`, `name = "-db"`, "components[1].name", "DNS label"},
		{"a component's node that is no DNS name", `# db`, `node = "a b"`, "components[1].node", "DNS name"},
		{"no image", `image = "docker.io/library/postgres:17"`, ``, "components[1].image", "is required"},
		{"an image that is no reference", `docker.io/library/postgres:17`, `docker.io/UPPER:17`, "components[1].image", "not an image reference"},
		{"an image without a host", `docker.io/library/postgres:17`, `postgres:17`, "components[1].image", `as in "docker.io/library/postgres:17"`},
		{"an image without a tag", `docker.io/library/postgres:17`, `docker.io/library/postgres`, "components[1].image", "tag or a digest"},

		{"a route without a name", `name = "rest"`, ``, "components[0].routes[0].name", "is required"},
		{"a route name that is no label", `name = "rest"`, `name = "a_b"`, "components[0].routes[0].name", "DNS label"},
		{"a route name twice", `# route`, "[[components.routes]]\nname = \"rest\"\nport = 1", "components[0].routes[1].name", "taken by components[0].routes[0].name"},
		{"a route without a port", `port = 8443`, ``, "components[0].routes[0].port", "between 1 and 65535"},
		{"a port too high", `port = 8443`, `port = 65536`, "components[0].routes[0].port", "between 1 and 65535"},
		{"an unknown mode", `# route`, `mode = "l5"`, "components[0].routes[0].mode", "l7"},
		{"an empty mode", `# route`, `mode = ""`, "components[0].routes[0].mode", "l7"},
		{"a negative container port", `# route`, `container_port = -1`, "components[0].routes[0].container_port", "$PORT"},
		{"a container port too high", `# route`, `container_port = 65536`, "components[0].routes[0].container_port", "$PORT"},

		{"a variable with an equals sign", `# api`, `env = { "A=B" = "1" }`, `components[0].env."A=B"`, "without \"=\""},
		{"a variable with a NUL", `# api`, `env = { "A\u0000" = "1" }`, `components[0].env."A\x00"`, "NUL"},
		{"a variable without a name", `# api`, `env = { "" = "1" }`, `components[0].env.""`, "name of a variable"},
		{"a variable too long for a program", `# api`, `env = { A = "` + strings.Repeat("x", 128<<10-2) + `" }`, "components[0].env.A", "at most 131071 bytes"},
		{"an argument too long for a program", `# db`, `cmd = ["serve", "` + strings.Repeat("x", 128<<10) + `"]`, "components[1].cmd[1]", "at most 131071 bytes"},
		{"PORT beside one route", `# api`, `env = { PORT = "1" }`, "components[0].env.PORT", "route rest"},
		{"the port of a route", `# api`, `env = { PORT_REST = "1" }`, "components[0].env.PORT_REST", "route rest"},

		{"a variable of a secret with an equals sign", `# api`, `secret_env = { "A=B" = "shop-db" }`, `components[0].secret_env."A=B"`, "without \"=\""},
		{"the port of a route from a secret", `# api`, `secret_env = { PORT_REST = "shop-db" }`, "components[0].secret_env.PORT_REST", "route rest"},
		{"a variable of env and of a secret", `# api`, "env = { KEY = \"1\" }\nsecret_env = { KEY = \"shop-db\" } # here", "components[0].secret_env.KEY", "is already set in components[0].env"},
		{"a variable of a secret without a name", `# api`, `secret_env = { KEY = "" }`, "components[0].secret_env.KEY", "name of a secret"},
		{"a secret that is no name", `# api`, `secrets = ["/etc/key"]`, "components[0].secrets[0]", "name of a secret"},
		{"a secret twice", `# api`, `secrets = ["key", "key"]`, "components[0].secrets[1]", "taken by components[0].secrets[0]"},

		{"a volume without a target", `# db`, `volumes = ["/srv"]`, "components[1].volumes[0]", "source:/target"},
		{"a volume with a relative target", `# db`, `volumes = ["/srv:data"]`, "components[1].volumes[0]", "target must be an absolute path"},
		{"a volume over the root", `# db`, `volumes = ["/srv:/"]`, "components[1].volumes[0]", "other than /"},
		{"a volume with a relative source", `# db`, `volumes = ["./srv:/data"]`, "components[1].volumes[0]", "name of a volume"},
		{"a volume with an unknown option", `# db`, `volumes = ["srv:/data:ro,quick"]`, "components[1].volumes[0]", `"quick"`},
		{"two volumes on one target", `# db`, `volumes = ["a:/data", "b:/data/"]`, "components[1].volumes[1]", "volumes[0] already mounts a volume on /data"},

		{"an unknown order", `# db`, `order = "both"`, "components[1].order", "start-first"},
		{"start-first with host ports", `# db`, "order = \"start-first\"\nports = [\"80:80\"]", "components[1].order", "stop-first"},
		{"a user with a space", `# db`, `user = "a b"`, "components[1].user", "spaces"},
		{"a network that is no name", `# db`, `network = "container:x"`, "components[1].network", "network"},
		{"routes without a network", `# api`, `network = "none"`, "components[0].network", "publish"},
		{"a mapped route on the host's network", `# route`, "container_port = 80\n[[components]]\nname = \"x\"\nimage = \"a.b/x:1\"\nnetwork = \"host\"\n[[components.routes]]\nname = \"r\"\nport = 1\ncontainer_port = 81 # here", "components[1].routes[0].container_port", "$PORT_R"},
		{"a mapped port on the host's network", `# db`, "network = \"host\"\nports = [\"80:80\", \"81:82\"]", "components[1].ports[1]", "port 82"},
		{"an unknown restart policy", `# db`, `restart = "sometimes"`, "components[1].restart", "unless-stopped"},
		{"a restart count of nothing", `# db`, `restart = "on-failure:0"`, "components[1].restart", "on-failure:3"},
		{"memory without a number", `# db`, `memory = "much"`, "components[1].memory", "256m"},
		{"a log without a number", `# db`, `log_size = "much"`, "components[1].log_size", "at least"},
		{"a log without room", `# db`, `log_size = "1k"`, "components[1].log_size", "at least"},
		{"a user id out of range", `# db`, `user = "4294967296"`, "components[1].user", "2147483647"},
		{"a user id that is no number of 64 bits", `# db`, `user = "99999999999999999999"`, "components[1].user", "2147483647"},
		{"a group id out of range", `# db`, `user = "0:2147483648"`, "components[1].user", "2147483647"},
		{"no memory at all", `# db`, `memory = "0"`, "components[1].memory", "256m"},
		{"memory without a unit", `# db`, `memory = "512"`, "components[1].memory", `"512" is 512 bytes`},
		{"negative cpus", `# db`, `cpus = -1`, "components[1].cpus", "not -1"},
		{"cpus that are no number", `# db`, `cpus = nan`, "components[1].cpus", "not NaN"},
		{"too little cpu for the kernel", `# db`, `cpus = 0.001`, "components[1].cpus", "0.01"},
		{"a negative drain", `# db`, `drain = "-1s"`, "components[1].drain", "negative"},
		{"a negative stop_timeout", `# db`, `stop_timeout = "-1s"`, "components[1].stop_timeout", "negative"},

		{"a dependency that is not there", `# db`, `depends_on = ["ap"]`, "components[1].depends_on[0]", "did you mean api?"},
		{"a dependency on itself", `# db`, `depends_on = ["db"]`, "components[1].depends_on[0]", "itself"},
		{"a dependency twice", `# db`, `depends_on = ["api", "api"]`, "components[1].depends_on[1]", "taken by components[1].depends_on[0]"},

		{"two kinds of health check", `# health`, "http = \"/\"\ntcp = true", "components[0].health.tcp", "excludes http"},
		{"a path without a slash", `# health`, `http = "healthz"`, "components[0].health.http", "begins with /"},
		{"nothing to ask over http", `# db`, "[components.health]\nhttp = \"/\"", "components[1].health.http", "needs a route"},
		{"nothing to connect to", `# db`, "ports = [\"53:53/udp\"]\n[components.health]\ntcp = true", "components[1].health.tcp", "needs a route"},
		{"only udp to connect to", `# db`, "[components.health]\ntcp = true\n[[components.routes]]\nname = \"log\"\nport = 514\nprotocol = \"udp\"", "components[1].health.tcp", "of tcp"},
		{"an interval of nothing", `# health`, `interval = "0s"`, "components[0].health.interval", "positive"},
		{"a negative timeout", `# health`, `timeout = "-1s"`, "components[0].health.timeout", "positive"},
		{"no retries", `# health`, `retries = 0`, "components[0].health.retries", "positive"},
		{"a negative min_healthy", `# health`, `min_healthy = "-1s"`, "components[0].health.min_healthy", "negative"},
		{"a host for a check by tcp", `# health`, "host = \"shop.example\"\ntcp = true", "components[0].health.host", "over http"},
		{"a host that is no name", `# health`, "host = \"shop example\"\nhttp = \"/\"", "components[0].health.host", "must be a DNS name"},
		{"a host that is a URL", `# health`, "host = \"http://shop.example/\"\nhttp = \"/\"", "components[0].health.host", "port"},
		{"a host with a port that is none", `# health`, "host = \"shop.example:0\"\nhttp = \"/\"", "components[0].health.host", "between 1 and 65535"},
		{"a port to check that there is not", `# health`, "tcp = true\nport = 9100", "components[0].health.port", "has no route and no port of tcp \"9100\" in the container: it has "},
		{"a port without a check that connects", `# health`, "port = \"rest\"", "components[0].health.port", "is for a health check over http or tcp"},
		{"a port that is neither a name nor a number", `# health`, "tcp = true\nport = true", "components[0].health.port", "the name of a route or a port of the container"},
		{"a start_period of nothing", `# health`, `start_period = "0s"`, "components[0].health.start_period", "positive"},

		{"an unknown key", `# db`, `volume = []`, "components[1].volume", "did you mean volumes?"},
		{"a key in upper case", `# db`, `User = "a"`, "components[1].User", "did you mean user or userns?"},
		{"a key like no other", `# db`, `zzzzzz = 1`, "components[1].zzzzzz", "unknown key"},
		{"a key of Compose", `# db`, `replicas = 2`, "components[1].replicas", "unknown key: a component is one container; write a component for each, with routes of the same hostname"},
		{"a key of other tools", `node = "rift"`, "node = \"rift\"\nreplicas = 2", "replicas", "unknown key: a component is one container"},
		{"an unknown table", `# db`, "[deploy]\na = 1\nb = 2", "deploy", "unknown key"},
		{"a table of jobs", `# db`, "[[jobs]]\nname = \"tick\"", "jobs", "unknown key; a job is one of the components, with a schedule"},
		{"a table of volumes", `# db`, "[volumes]\ndata = {}", "volumes", "unknown key; a component has volumes"},
		{"a number for a string", `node = "rift"`, `node = 5`, "node", "must be a string, not an integer"},
		{"a string for a number", `port = 8443`, `port = "8443"`, "components[0].routes[0].port", "must be an integer, not a string"},
		{"a float for an integer", `port = 8443`, `port = 84.5`, "components[0].routes[0].port", "must be an integer, not a float"},
		{"a string for a boolean", `path = "shop"`, `active = "yes"`, "active", "must be true or false"},
		{"a boolean for a number", `# db`, `cpus = true`, "components[1].cpus", "must be a number"},
		{"a string for an array", `# db`, `cmd = "serve"`, "components[1].cmd", "must be an array of strings"},
		{"an integer among strings", `# db`, `cmd = ["serve", 1]`, "components[1].cmd[1]", "must be a string"},
		{"a string for a table", `# db`, `env = "A=1"`, "components[1].env", "must be a table"},
		{"a number in the environment", `# db`, `env = { A = 1 }`, "components[1].env.A", "must be a string"},
		{"a table for an array of tables", `# db`, "[components.routes]\nname = \"a\"", "components[1].routes", "array of tables"},
		{"a number for a duration", `# health`, `interval = 10`, "components[0].health.interval", `such as "10s"`},
		{"a date for a duration", `# health`, `interval = 2020-01-01`, "components[0].health.interval", "not a date"},
		{"a duration without a unit", `# health`, `interval = "10"`, "components[0].health.interval", `not "10"`},
		{"a NUL in a string", `# db`, `cmd = ["a\u0000"]`, "components[1].cmd[0]", "NUL"},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			text := edit(t, r.old, r.new)
			found := problems(t, text)
			require.Len(t, found, 1, "%v", found)
			require.Equal(t, r.key, found[0].Key)
			require.Contains(t, found[0].Message, r.message)
			require.Contains(t, r.lines(t), found[0].Line)
		})
	}
}

// lines are where the problem may be reported: where the edit writes its key
// last or, of a key that is missing or not touched, in the table around.
func (r rule) lines(t *testing.T) []int {
	line := lineOf(t, base, r.old)
	name, _, _ := strings.Cut(r.key[strings.LastIndexByte(r.key, '.')+1:], "[")
	if before := strings.LastIndex(r.new, name); r.new != "" && before >= 0 {
		return []int{line + strings.Count(r.new[:before], "\n")}
	}
	header := 1 + strings.Count(base[:1+max(0, strings.LastIndex(base[:strings.Index(base, r.old)], "\n["))], "\n")
	return []int{header, line}
}

// A program reads variables of any name: Elasticsearch, for one, those with dots.
func TestVariablesOfAnyName(t *testing.T) {
	longest := strings.Repeat("x", 128<<10-3)
	s := parse(t, edit(t, "# api", `env = { "discovery.type" = "single-node", "A-B" = "1", "A B" = "2", 1A = "3", A = "`+longest+`" }
secret_env = { "spring.datasource.password" = "shop-db" }`))
	api, _ := s.Component("api")
	require.Equal(t, "single-node", api.Env["discovery.type"])
	require.Equal(t, "1", api.Env["A-B"])
	require.Equal(t, "2", api.Env["A B"])
	require.Equal(t, "3", api.Env["1A"])
	require.Len(t, api.Env["A"], len(longest))
	require.Equal(t, "shop-db", api.SecretEnv["spring.datasource.password"])
}

func TestPorts(t *testing.T) {
	for text, message := range map[string]string{
		`["8080"]`:                            "declare a route",
		`["0:80"]`:                            "between 1 and 65535",
		`["80:65536"]`:                        "between 1 and 65535",
		`["80:x"]`:                            "between 1 and 65535",
		`["80:80/sctp"]`:                      "tcp or udp",
		`["localhost:80:80"]`:                 "not an IP address",
		`["80-82:80-81"]`:                     "differ in length",
		`["82-80:82-80"]`:                     "backwards",
		`["1-20000:1-20000"]`:                 "more than 10000",
		`["80:80", "80:81"]`:                  "taken by components[1].ports[0]",
		`["80:80", "127.0.0.1:80:81"]`:        "taken by components[1].ports[0]",
		`["127.0.0.1:80:80", "0.0.0.0:80:1"]`: "taken by components[1].ports[0]",
		`["80:80", "79-81:79-81"]`:            "host port 80/tcp on node rift",
	} {
		t.Run(text, func(t *testing.T) {
			found := problems(t, edit(t, "# db", "ports = "+text))
			require.Len(t, found, 1)
			require.True(t, strings.HasPrefix(found[0].Key, "components[1].ports["), found[0].Key)
			require.Contains(t, found[0].Message, message)
		})
	}
	t.Run("too many in total", func(t *testing.T) {
		found := problems(t, edit(t, "# db", `ports = ["1-9000:1-9000", "10001-19000:10001-19000"]`))
		require.Equal(t, "lists 18000 ports; the limit is 10000", found[0].Message)
	})
	for _, text := range []string{
		`["80:80", "80:80/udp"]`,
		`["127.0.0.1:80:80", "127.0.0.2:80:80", "[::1]:80:80"]`,
		`["8000-8002:80-82"]`,
	} {
		t.Run(text, func(t *testing.T) { parse(t, edit(t, "# db", "ports = "+text)) })
	}
	t.Run("one host port on two nodes is fine", func(t *testing.T) {
		text := edit(t, "# db", "ports = [\"80:80\"]\nnode = \"orion\"")
		parse(t, strings.Replace(text, "# api", `ports = ["80:80"]`, 1))
	})
	t.Run("one host port in two components is not", func(t *testing.T) {
		text := edit(t, "# db", `ports = ["80:80"]`)
		found := problems(t, strings.Replace(text, "# api", `ports = ["80:80"]`, 1))
		require.Equal(t, "host port 80/tcp on node rift is taken by components[0].ports[0]", found[0].Message)
	})
}

func TestValidVariations(t *testing.T) {
	for _, change := range [][2]string{
		{`path = "shop"`, ``},
		{`docker.io/library/postgres:17`, `localhost:5000/x:v1`},
		{`docker.io/library/postgres:17`, `localhost/x:v1`},
		{`docker.io/library/postgres:17`, `registry.example:5000/a/b/x@sha256:` + strings.Repeat("0", 64)},
		{`# db`, `env = { PORT = "5432" }`},
		{`# db`, `network = "none"`},
		{`# db`, `restart = "on-failure:5"`},
		{`# db`, `cpus = 1`},
		{`# db`, `stop_timeout = "0s"`},
		{`# db`, `drain = "0s"`},
		{`# db`, `depends_on = ["api"]`},
		{`# db`, "network = \"host\"\nports = [\"80:80\"]"},
		{`# db`, "order = \"start-first\"\nvolumes = [\"a:/data\"]"},
		{`# health`, `cmd = ["true"]`},
		{`# health`, `min_healthy = "0s"`},
		{`# health`, "tcp = true\nport = \"rest\""},
		{`# db`, "ports = [\"8080:80\", \"9100:9100\"]\n[components.health]\nhttp = \"/\"\nport = 9100"},
		{`# health`, "host = \"shop.example\"\nhttp = \"/\""},
		{`# health`, "host = \"localhost:8080\"\nhttp = \"/\""},
		{`# health`, "host = \"[::1]:8080\"\nhttp = \"/\""},
		{`# route`, `hostname = "shop.example"`},
	} {
		t.Run(change[1], func(t *testing.T) { parse(t, edit(t, change[0], change[1])) })
	}
}

func TestComponentsAreBetweenOneAndTwoHundred(t *testing.T) {
	none := problems(t, `name = "a"`)
	require.Equal(t, "shop.toml:1: components: is required: a service has at least one component", none.Error())

	var text strings.Builder
	text.WriteString("name = \"a\"\nnode = \"n\"\n")
	for i := range 200 {
		fmt.Fprintf(&text, "[[components]]\nname = \"c%d\"\nimage = \"a.b/c:1\"\n", i)
	}
	require.Len(t, parse(t, text.String()).Components, 200)
	text.WriteString("[[components]]\n")
	require.Contains(t, problems(t, text.String()).Error(), "has 201 components; the limit is 200")
}

func TestNodeIsNeededOnceForEachComponent(t *testing.T) {
	text := strings.Replace(edit(t, `node = "rift"`, ``), "# api", `node = "orion"`, 1)
	found := problems(t, text)
	require.Len(t, found, 1)
	require.Equal(t, "components[1].node", found[0].Key)
	require.Equal(t, lineOf(t, text, `name = "db"`)-1, found[0].Line, "where the component begins")
	require.Equal(t, "orion", parse(t, strings.Replace(text, "# db", `node = "orion"`, 1)).Components[1].Node)
}

func TestCyclesAreNamed(t *testing.T) {
	text := `name = "a"
node = "n"
components = [
  { name = "w", image = "a.b/c:1", depends_on = ["x"] },
  { name = "x", image = "a.b/c:1", depends_on = ["y"] },
  { name = "y", image = "a.b/c:1", depends_on = ["z"] },
  { name = "z", image = "a.b/c:1", depends_on = ["x"] },
]`
	require.Equal(t, "shop.toml:7: components[3].depends_on: the components wait for each other: x → y → z → x",
		problems(t, text).Error())
}

func TestAnImageToBuildMayHaveTwoMistakes(t *testing.T) {
	found := problems(t, edit(t, `shop-api = "C`, `unused = "/C`))
	require.Len(t, found, 2)
	for i, want := range []string{"no component and no step uses an image of this name", "stay in it"} {
		require.Equal(t, "build.images.unused", found[i].Key)
		require.Contains(t, found[i].Message, want)
	}
}
