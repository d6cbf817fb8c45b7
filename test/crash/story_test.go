package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// story is one kind of deploy, and what it promises.
type story struct {
	name string
	// byHand is set where somebody has started the first version without mcp.
	byHand bool
	// before is what has been deployed already, in this order.
	before []text
	// told is a verb that it was then told, such as "stop"; nil for none.
	told []string
	// lost is what somebody then began to deploy, and terminated in Temporal
	// while its first container was starting; nil for nothing.
	lost text
	// then is what is deployed while something fails; nil where verb is another.
	then text
	// verb is what happens to the service instead of a deploy.
	verb []string
	// ends is the verdict where nothing fails.
	ends verdict
	// steady promises that a client never meets a closed door.
	steady bool
	// cancel cancels the deploy while its first container starts.
	cancel bool
}

// released is the number of the release that there is before.
func (s story) released() int {
	if s.told != nil {
		return len(s.before) + 1
	}
	return len(s.before)
}

// text writes the definition that a play deploys.
type text func(p *play) string

var (
	v1, v2       = version("v1", ""), version("v2", "")
	exits, deaf  = version("v2", `env = { MODE = "exit" }`), version("v2", `env = { MODE = "deaf" }`)
	kept1, kept2 = volume("v1", ""), volume("v2", "")
	keptExits    = volume("v2", `MODE = "exit"`)
)

// stories are in the order of what most depends on them.
var stories = []story{
	{name: "new version, start-first", before: []text{v1}, then: v2, ends: finished, steady: true},
	{name: "first deploy with build and push", then: built, ends: finished},
	{name: "new version, stop-first, with a volume", before: []text{kept1}, then: kept2, ends: finished},
	{name: "two components with depends_on", before: []text{two("v1")}, then: two("v2"), ends: finished},
	{name: "two components on two nodes", before: []text{apart("v1")}, then: apart("v2"), ends: finished, steady: true},
	{name: "new version, after a deploy that was terminated", before: []text{v1}, lost: deaf, then: v2, ends: finished, steady: true},
	{name: "unhealthy new version", before: []text{v1}, then: exits, ends: putBack, steady: true},
	{name: "unhealthy new version, stop-first, with a volume", before: []text{kept1}, then: keptExits, ends: putBack},
	{name: "active = false", before: []text{v1}, then: inactive, ends: finished},
	{name: "undeploy", before: []text{two("v1")}, verb: []string{"undeploy", "-y"}, ends: finished},
	{name: "rollback", before: []text{v1, v2}, verb: []string{"rollback", "--to", "1"}, ends: finished, steady: true},
	{name: "stop", before: []text{two("v1")}, verb: []string{"stop"}, ends: finished},
	{name: "start", before: []text{two("v1")}, told: []string{"stop"}, verb: []string{"start"}, ends: finished},
	{name: "restart", before: []text{v1}, verb: []string{"restart"}, ends: finished, steady: true},
	{name: "restart, stop-first, with a volume", before: []text{kept1}, verb: []string{"restart"}, ends: finished},
	{name: "adopt", byHand: true, verb: []string{"adopt"}, ends: finished},
	{name: "new version of what was adopted", byHand: true, told: []string{"adopt"}, then: v2, ends: finished, steady: true},
	{name: "purge", before: []text{v1}, told: []string{"undeploy", "-y"}, verb: []string{"purge", "-y"}, ends: finished},
	{name: "cancel in mid-deploy", before: []text{v1}, then: deaf, ends: putBack, steady: true, cancel: true},
}

// definition is a service of components that the shared images serve.
func definition(p *play, head string, components ...string) string {
	return fmt.Sprintf("name = %q\nnode = %q\npath = \"src\"\n%s\n%s", p.service, p.home, head, strings.Join(components, "\n"))
}

// component has one route.
func component(name, image, more string) string {
	return fmt.Sprintf(`[[components]]
name = %q
image = %q
stop_timeout = "2s"
%s
[components.health]
start_period = "10s"
interval = "200ms"

[[components.routes]]
name = "http"
port = 443
`, name, image, more)
}

func version(tag, more string) text {
	return func(p *play) string { return definition(p, "", component("app", p.rig.shared(tag), more)) }
}

func inactive(p *play) string {
	return definition(p, "active = false", component("app", p.rig.shared("v1"), ""))
}

// built is of an image that nobody has yet.
func built(p *play) string {
	image := p.rig.image + "/" + p.service + ":v2"
	return definition(p, fmt.Sprintf("[build.images]\n%s = \"Containerfile.v2\"\n", p.service), component("app", image, ""))
}

func volume(tag, env string) text {
	return func(p *play) string {
		more := fmt.Sprintf("volumes = [%q]\nenv = { %s }", p.rig.volume(p.service)+":/data", strings.TrimPrefix(env+", DATA = \"/data\"", ", "))
		return definition(p, "", component("app", p.rig.shared(tag), more))
	}
}

func two(tag string) text {
	return func(p *play) string {
		return definition(p, "", component("db", p.rig.shared(tag), ""), component("web", p.rig.shared(tag), `depends_on = ["db"]`))
	}
}

// apart has a component on each of two nodes.
func apart(tag string) text {
	return func(p *play) string {
		return definition(p, "", component("app", p.rig.shared(tag), ""), component("far", p.rig.shared(tag), fmt.Sprintf("node = %q", p.neighbour())))
	}
}

// neighbour is the node after home.
func (p *play) neighbour() string {
	return nodeNames[(slices.Index(nodeNames, p.home)+1)%len(p.rig.nodes)]
}

// shared is the image that most stories use, by its version.
func (r *rig) shared(tag string) string { return r.image + "/app:" + tag }

// furnish writes the sources, and builds the images that stories share.
func (r *rig) furnish(app string) error {
	src := r.path("workspace/src")
	program, err := os.ReadFile(app)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(src, "app"), program, 0o755); err != nil {
		return err
	}
	for _, tag := range []string{"v1", "v2"} {
		text := "FROM scratch\nCOPY app /app\nENV VERSION=" + tag + "\nCMD [\"/app\"]\n"
		if err := os.WriteFile(filepath.Join(src, "Containerfile."+tag), []byte(text), 0o600); err != nil {
			return err
		}
		p := &play{rig: r, service: "furnish-" + tag, home: nodeNames[0]}
		head := fmt.Sprintf("[build.images]\napp = \"Containerfile.%s\"\n", tag)
		if err := r.define(p.service, definition(p, head, component("app", r.shared(tag), ""))); err != nil {
			return err
		}
		if err := r.run("build", p.service); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) define(service, text string) error {
	return os.WriteFile(filepath.Join(r.path("services"), service+".toml"), []byte(text), 0o600)
}

// cancelDelay is how long the first container of a deploy that is cancelled
// has been starting then.
const cancelDelay = 500 * time.Millisecond
