package exposed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/exposed"
)

func TestValuesThatLookLikeSecrets(t *testing.T) {
	const named, url, random, issued = "is named like a secret", "has a URL with a password", "looks like a random key", "looks like a token of an API"
	for _, test := range []struct{ name, value, look string }{
		{"DB_PASSWORD", "hunter2", named}, {"PASSWORD", "1234", named}, {"db-passwd", "x", named}, {"SMTP_PASS", "mail", named}, {"DB_PWD", "abc", named},
		{"API_TOKEN", "abc", named}, {"JWT_SECRET", "change me", named}, {"STRIPE_API_KEY", "abc", named}, {"secretKey", "abc", named},
		{"AWS_SECRET_ACCESS_KEY", "abc", named}, {"APIKEY", "abc", named}, {"GOOGLE_CREDENTIALS", "{ \"type\": 1 }", named},
		{"DJANGO_SECRET_KEY", "django-insecure-x", named}, {"PGPASSWORD", "x", named},
		{"DATABASE_URL", "postgres://app:hunter2@db/app", url}, {"X", "see redis://:s3cret@cache:6379/0 for that", url},
		{"BROKERS", "amqp://a@x,amqp://guest:guest@y", url}, {"A", "https://token:x-oauth@git.example/r.git", url},
		{"DSN", "app:hunter2@tcp(db:3306)/app", "has a password before the address"},
		{"CONN", "host=db user=app password=hunter2 dbname=app", "sets a password"}, {"CONN", "Server=db;User Id=sa;Password=Abc123;", "sets a password"},
		{"X", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", issued}, {"X", "glpat-abcdefghij1234567890", issued}, {"X", "AKIAIOSFODNN7EXAMPLE", issued},
		{"X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", issued}, {"X", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", issued},
		{"X", "-----BEGIN EC PRIVATE KEY-----\nMHc\n", "has a private key in it"}, {"X", "AGE-SECRET-KEY-1QQQQ", "has a private key in it"},
		{"SALT", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", random}, {"SEED", "kZ8mQ2vX7rT4wB9nL5cJ3hY6", random},
		{"SEED", "q1W+e2R/t3Y4u5I6o7P8a9S0dFgHjKlZ==", random},
		// The same words, without a secret.
		{"DB_PASSWORD_FILE", "/run/secrets/db", ""}, {"DB_PASSWORD", "/run/secrets/db", ""}, {"DB_PASSWORD", "", ""}, {"DB_PASSWORD", "${DB_PASSWORD}", ""},
		{"DB_PASSWORD", "$PW", ""}, {"DB_PASSWORD", "{secret:db}", ""}, {"DB_PASSWORD", "<your password>", ""}, {"DB_PASSWORD", "****", ""},
		{"DATABASE_URL", "postgres://app:{secret:db|urlencode}@db/app", ""}, {"DATABASE_URL", "postgres://app@db/app", ""}, {"DATABASE_URL", "postgres://db:5432/app?a=b@c", ""},
		{"DATABASE_URL", "postgres://app:$PW@db/app", ""}, {"DATABASE_URL", "postgres://app:${PW:-x}@db/app", ""}, {"IPV6", "http://[::1]:80/@x", ""},
		{"CONN", "host=db password={secret:db} dbname=app", ""}, {"CONN", "password_encryption=scram-sha-256", ""},
		{"REQUIRE_PASSWORD", "true", ""}, {"TOKEN_TTL", "3600", ""}, {"PASSWORD_MIN_LENGTH", "12", ""}, {"KEY_ID", "abc", ""}, {"AUTH_TOKEN_HEADER", "X-Auth", ""},
		{"TOKEN_URL", "https://id.example/token", ""}, {"MAX_TOKENS", "4096", ""}, {"SSH_PUBLIC_KEY", "ssh-ed25519 AAAA", ""}, {"STRIPE_PUBLISHABLE_KEY", "pk_live_x", ""},
		{"TLS_KEY", "/etc/tls/key.pem", ""}, {"PRIMARY_KEY", "id", ""}, {"CACHE_KEY", "v2", ""}, {"KEY", "a", ""}, {"PWD", "/srv", ""}, {"PASS", "3", ""}, {"PASSENGER_APP_ENV", "production", ""},
		{"MONKEY", "banana", ""}, {"KEYBOARD", "de", ""}, {"SECRETARY", "ann", ""}, {"COMPASS", "north", ""}, {"TOKENIZER", "bert", ""},
		{"GIT_COMMIT", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", ""}, {"IMAGE_DIGEST", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", ""},
		{"TENANT", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", ""}, {"CLIENT_ID", "kZ8mQ2vX7rT4wB9nL5cJ3hY6", ""}, {"TZ", "America/Argentina/Buenos_Aires", ""},
		{"CLASS", "Log4jContextSelectorOfVersion2", ""}, {"CIPHERS", "ECDHE-RSA-AES128-GCM-SHA256", ""}, {"JAVA_OPTS", "-Xmx512m -XX:+UseG1GC", ""},
		{"LOG_FORMAT", "%{time}s %{request}s", ""}, {"NUMBER", "12345678901234567890123456789012", ""}, {"PATH", "/usr/local/sbin:/usr/local/bin", ""},
		{"HOSTS", "a1.example.com,b2.example.com,C3.example.com", ""}, {"BUCKET", "shop-production-eu-central-1-uploads", ""}, {"FEATURES", "newCheckout,oldCart2,abTest3", ""},
	} {
		text := fmt.Sprintf("[env]\n%q = %q\n", test.name, test.value)
		found := exposed.In([]byte(text), "shop.toml")
		if test.look == "" {
			require.Empty(t, found, text)
			continue
		}
		require.Len(t, found, 1, text)
		require.Contains(t, found[0].Message, test.look, text)
		require.Contains(t, found[0].Message, "mcp secret set", "the way out")
		require.Equal(t, 2, found[0].Line)
		if len(test.value) > 4 {
			require.NotContains(t, found[0].Message, test.value, "no warning has the value")
		}
	}
}

// Every place in which a definition can have a value is checked, and named with its line.
func TestExposedValuesAreNamedWhereTheyAre(t *testing.T) {
	text := `name = "shop"
[env]
A_TOKEN = "x"
PORTS = 3
[build.images.web]
args = { NPM_TOKEN = "x", VERSION = "1" }
[[components]]
name = "web"
env = { LOG = "info", DB_PASSWORD = "x" }
files = [{ target = "/k", content = "-----BEGIN PRIVATE KEY-----" }, { target = "/c", content = "password = x" }]
[components.health]
headers = { Authorization = "Basic YTpi" }
[[steps]]
name = "migrate"
env = { DB_URL = "postgres://a:b@db/x" }
[env.staging.env]
B_TOKEN = "x"
[[env.staging.components]]
name = "web"
env = { C_SECRET = "x" }
`
	var got []string
	for _, p := range exposed.In([]byte(text), "shop.toml") {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Key))
	}
	require.Equal(t, []string{
		"3 env.A_TOKEN", "6 build.images.web.args.NPM_TOKEN", "9 components[0].env.DB_PASSWORD", "10 components[0].files[0].content",
		"12 components[0].health.headers.Authorization", "15 steps[0].env.DB_URL", "17 env.staging.env.B_TOKEN", "20 env.staging.components[0].env.C_SECRET",
	}, got)
	require.Empty(t, exposed.In([]byte("= no TOML"), "shop.toml"))
}

func TestVariablesOfAnEnvFileAreChecked(t *testing.T) {
	dir := t.TempDir()
	text := []byte(`name = "shop"
node = "rift"
env_file = "shared.env"
[[components]]
name = "web"
image = "registry.example/web:1"
env_file = ["own.env"]
env = { DB_PASSWORD = "x" }
[[components]]
name = "worker"
image = "registry.example/web:1"
`)
	file := filepath.Join(dir, "shop.toml")
	for name, content := range map[string]string{"shop.toml": string(text), "shared.env": "API_TOKEN=abc\nLOG=info\n", "own.env": "SMTP_PASSWORD=abc\nDB_PASSWORD=y\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	before, err := servicedef.LoadAll(file)
	require.NoError(t, err)
	after, err := servicedef.ReadAllSources(before, dir)
	require.NoError(t, err)
	var got []string
	for _, p := range exposed.InEnvFiles(before[0], after[0], text) {
		got = append(got, fmt.Sprintf("%d %s: %.29s", p.Line, p.Key, p.Message))
	}
	require.Equal(t, []string{
		"3 env_file: the variable API_TOKEN is nam", "7 components[0].env_file: the variable API_TOKEN is nam", "7 components[0].env_file: the variable SMTP_PASSWORD is",
	}, got)
}
