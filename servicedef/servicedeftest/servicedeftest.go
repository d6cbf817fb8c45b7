// Package servicedeftest provides definitions that the tests of several packages
// share.
package servicedeftest

// Environments is a definition with two environments.
const Environments = `name = "shop"
node = "rift"
path = "shop"

[build.images]
shop-api = "Containerfile"

[[components]]
name = "api"
image = "registry.example:5000/shop-api:v1"
env = { LOG_LEVEL = "info", COLOUR = "blue" }
secret_env = { PASSWORD = "shop-db" }
secrets = ["shop-tls", { source = "key", mode = "0400" }]
cmd = ["serve", "--fast"]
volumes = ["shop-cache:/cache", "uploads:/uploads:ro", "/etc/shop:/etc/shop:ro"]

[components.health]
http = "/healthz"
host = "shop.example"
retries = 5

[[components.routes]]
name = "rest"
port = 443
mode = "l7"
hostname = "shop.example"

[[components]]
name = "db"
image = "docker.io/library/postgres:17"

[env.staging]
node = "orion"
[[env.staging.components]]
name = "api"
image = "registry.example:5000/shop-api:v2"
env = { LOG_LEVEL = "debug", EXTRA = "1" }
cmd = ["serve"]
[env.staging.components.health]
cmd = ["check"]
[[env.staging.components.routes]]
name = "rest"
hostname = "staging.shop.example"
[[env.staging.components.routes]]
name = "admin"
port = 9000

[env.test]
`

// Sources is a definition that names files of its workspace.
const Sources = `name = "shop"
node = "rift"
path = "shop"
env_file = ["shared.env"]
[[components]]
name = "web"
image = "r.example/web:v1"
env = { A = "definition" }
secret_env = { E = "secret" }
env_file = "web.env"
[[components.files]]
target = "/etc/web.conf"
source = "conf/web.conf"
[[components.files]]
target = "/etc/web.bin"
source = "web.bin"
[[components.routes]]
name = "http"
port = 80
[[components]]
name = "db"
image = "r.example/db:v1"
`

// Minimal returns a valid definition of one component.
func Minimal(service, component string) string {
	return "name = \"" + service + "\"\nnode = \"rift\"\n[[components]]\nname = \"" + component + "\"\nimage = \"a.example/x:1\"\n"
}
