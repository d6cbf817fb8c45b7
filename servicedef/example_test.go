package servicedef_test

import (
	"errors"
	"fmt"

	"github.com/metacircular/mcp/servicedef"
)

const shop = `name = "shop"
node = "rift"

[[components]]
name       = "api"
image      = "registry.example:5000/shop-api:v1.4.0"
depends_on = ["db"]

[[components.routes]]
name = "rest"
port = 8443

[[components]]
name    = "db"
image   = "docker.io/library/postgres:17"
volumes = ["/srv/shop:/var/lib/postgresql/data"]
`

func ExampleParse() {
	service, err := servicedef.Parse([]byte(shop), "shop.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range service.Components {
		fmt.Println(c.Name, "on", c.Node, c.Order, c.Restart)
	}
	// Output:
	// api on rift start-first unless-stopped
	// db on rift stop-first unless-stopped
}

func ExampleParse_problems() {
	_, err := servicedef.Parse([]byte(`name = "shop"
node = "rift"

[[components]]
name  = "api"
image = "shop-api"
volume = []
`), "shop.toml")
	fmt.Println(err)

	var problems servicedef.Errors
	if errors.As(err, &problems) {
		fmt.Println(problems[1].Line, problems[1].Key)
	}
	// Output:
	// shop.toml:6: components[0].image: "shop-api" must begin with the host of its image registry, as in "docker.io/library/shop-api"
	// shop.toml:7: components[0].volume: unknown key, did you mean volumes?
	// 7 components[0].volume
}

func ExampleService_Validate() {
	service, err := servicedef.Parse([]byte(shop), "shop.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	service.Components[0].DependsOn = []string{"cache"}
	fmt.Println(service.Validate())
	// Output:
	// shop.toml: components[0].depends_on[0]: the service has no component "cache"
}

func ExampleService_StartOrder() {
	service, err := servicedef.Parse([]byte(shop), "shop.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(service.StartOrder())
	// Output: [[db] [api]]
}

func ExampleContainerNameFor() {
	fmt.Println(servicedef.ContainerNameFor("shop", "api"))
	fmt.Println(servicedef.ContainerNameFor("mc-proxy", "mc-proxy"))
	// Output:
	// shop-api
	// mc-proxy
}

func ExampleSplitContainerName() {
	services := []string{"mc", "mc-proxy"}
	fmt.Println(servicedef.SplitContainerName("mc-proxy-web", services))
	fmt.Println(servicedef.SplitContainerName("mc-proxy", services))
	fmt.Println(servicedef.SplitContainerName("shop-api", services))
	// Output:
	// mc-proxy web
	// mc-proxy mc-proxy
	// shop api
}

func ExamplePortEnv() {
	fmt.Println(servicedef.PortEnv("rest"))
	fmt.Println(servicedef.PortEnv("admin-v2"))
	// Output:
	// PORT_REST
	// PORT_ADMIN_V2
}

func ExampleParsePorts() {
	ports, err := servicedef.ParsePorts([]string{"127.0.0.1:8080-8081:80-81", "53:53/udp"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range ports {
		fmt.Println(p, p.Protocol)
	}
	// Output:
	// 127.0.0.1:8080:80 tcp
	// 127.0.0.1:8081:81 tcp
	// 53:53/udp udp
}

func ExampleByDigest() {
	digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	fmt.Println(servicedef.ByDigest("registry.example:5000/shop-api:v1.4.0", digest))
	// Output: registry.example:5000/shop-api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
}
