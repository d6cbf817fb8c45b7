package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// scenario is one kind of deploy, and what it promises.
type scenario struct {
	name string
	// byHand is set where the first version was started without mcp.
	byHand bool
	// before is what is deployed first, in this order.
	before []text
	// beforeVerb is a verb that is run next, such as "stop"; nil for none.
	beforeVerb []string
	// terminated is a deploy that is started next, and terminated in Temporal
	// while its first container starts; nil for none.
	terminated text
	// loses is what the control plane loses next; lost is the version whose deploy is
	// lost, where one is.
	loses loss
	lost  text
	// then is what is deployed while the target fails; nil where verb is set. Where
	// both are nil, the containers are removed and the monitor deploys them again.
	then text
	// verb is what is run instead of a deploy.
	verb []string
	// want is the verdict of the baseline.
	want verdict
	// steady promises that no request of a client fails.
	steady bool
	// byName promises that a component which asks another one by its name sees no failure.
	byName bool
	// job has a run of a job under way meanwhile, and promises that it runs once.
	job bool
	// cancel cancels the deploy while its first container starts.
	cancel bool
}

// released is the number of the release before the scenario's verb.
func (s scenario) released() int {
	if s.loses == allRows {
		return 0
	}
	if s.beforeVerb != nil {
		return len(s.before) + 1
	}
	return len(s.before)
}

// text returns the definition that a case deploys.
type text func(fc *faultCase) string

var (
	v1, v2       = version("v1", ""), version("v2", "")
	exits, deaf  = version("v2", `env = { MODE = "exit" }`), version("v2", `env = { MODE = "deaf" }`)
	kept1, kept2 = volume("v1", ""), volume("v2", "")
	keptExits    = volume("v2", `MODE = "exit"`)
)

// scenarios are listed by importance.
var scenarios = []scenario{
	{name: "new version, start-first", before: []text{v1}, then: v2, want: finished, steady: true},
	{name: "first deploy with build and push", then: built, want: finished},
	{name: "new version, stop-first, with a volume", before: []text{kept1}, then: kept2, want: finished},
	{name: "two components with depends_on", before: []text{two("v1")}, then: two("v2"), want: finished},
	{name: "new version, asked by name", before: []text{named("v1")}, then: named("v2"), want: finished, byName: true},
	{name: "new version, with a migration", before: []text{migrating("v1")}, then: migrating("v2"), want: finished},
	{name: "new version, while a job runs", before: []text{busy("v1")}, then: busy("v2"), want: finished, steady: true, job: true},
	{name: "two components on two nodes", before: []text{apart("v1")}, then: apart("v2"), want: finished, steady: true},
	{name: "new version, after a deploy that was terminated", before: []text{v1}, terminated: deaf, then: v2, want: finished, steady: true},
	{name: "unhealthy new version", before: []text{v1}, then: exits, want: putBack, steady: true},
	{name: "unhealthy new version, stop-first, with a volume", before: []text{kept1}, then: keptExits, want: putBack},
	{name: "active = false", before: []text{v1}, then: inactive, want: finished},
	{name: "undeploy", before: []text{two("v1")}, verb: []string{"undeploy", "-y"}, want: finished},
	{name: "rollback", before: []text{v1, v2}, verb: []string{"rollback", "--to", "1"}, want: finished, steady: true},
	{name: "stop", before: []text{two("v1")}, verb: []string{"stop"}, want: finished},
	{name: "start", before: []text{two("v1")}, beforeVerb: []string{"stop"}, verb: []string{"start"}, want: finished},
	{name: "restart", before: []text{v1}, verb: []string{"restart"}, want: finished, steady: true},
	{name: "restart, stop-first, with a volume", before: []text{kept1}, verb: []string{"restart"}, want: finished},
	{name: "adopt", byHand: true, verb: []string{"adopt"}, want: finished},
	{name: "new version of what was adopted", byHand: true, beforeVerb: []string{"adopt"}, then: v2, want: finished, steady: true},
	{name: "purge", before: []text{v1}, beforeVerb: []string{"undeploy", "-y"}, verb: []string{"purge", "-y"}, want: finished},
	{name: "new version, after the restore of an older dump", before: []text{v1}, loses: lastDeploy, lost: v2, then: v2, want: finished},
	{name: "new version, after the registry was emptied", before: []text{v1}, loses: allRows, then: v2, want: finished},
	{name: "new version, after Temporal was emptied", before: []text{v1}, loses: allWorkflows, then: v2, want: finished, steady: true},
	{name: "reconcile", before: []text{healing}, want: finished},
	{name: "cancel in mid-deploy", before: []text{v1}, then: deaf, want: putBack, steady: true, cancel: true},
}

// definition is a service of components that run the shared images.
func definition(fc *faultCase, head string, components ...string) string {
	text := fmt.Sprintf("name = %q\nnode = %q\npath = \"src\"\n%s\n%s", fc.service, fc.node, head, strings.Join(components, "\n"))
	return strings.ReplaceAll(text, "SERVICE", fc.service)
}

// component has one route, with a hostname under that of its service.
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
mode = "l7"
hostname = "%[1]s.SERVICE.localhost"
`, name, image, more)
}

func version(tag, more string) text {
	return func(fc *faultCase) string { return definition(fc, "", component("app", fc.rig.shared(tag), more)) }
}

// healing is a version that the monitor deploys again.
func healing(fc *faultCase) string {
	return definition(fc, "reconcile = true", component("app", fc.rig.shared("v1"), ""))
}

func inactive(fc *faultCase) string {
	return definition(fc, "active = false", component("app", fc.rig.shared("v1"), ""))
}

// built is a definition whose image does not exist yet.
func built(fc *faultCase) string {
	image := fc.rig.image + "/" + fc.service + ":v2"
	return definition(fc, fmt.Sprintf("[build.images]\n%s = \"Containerfile.v2\"\n", fc.service), component("app", image, ""))
}

func volume(tag, env string) text {
	return func(fc *faultCase) string {
		more := fmt.Sprintf("volumes = [%q]\nenv = { %s }", fc.rig.volume(fc.service)+":/data", strings.TrimPrefix(env+", DATA = \"/data\"", ", "))
		return definition(fc, "", component("app", fc.rig.shared(tag), more))
	}
}

func two(tag string) text {
	return func(fc *faultCase) string {
		return definition(fc, "", component("db", fc.rig.shared(tag), ""), component("web", fc.rig.shared(tag), `depends_on = ["db"]`))
	}
}

// named has a component that asks another one by its name without pause, and stays when
// that is replaced.
func named(tag string) text {
	return func(fc *faultCase) string {
		app := component("app", fc.rig.shared(tag), "") + "container_port = 8080\n"
		return definition(fc, "", app,
			component("client", fc.rig.shared("v1"), `depends_on = ["app"]`+"\n"+`env = { MODE = "asks", ASK = "http://app:8080/" }`))
	}
}

// migrating has a step that notes its version in the volume of the database, which must
// be up, and takes a while.
func migrating(tag string) text {
	return func(fc *faultCase) string {
		more := fmt.Sprintf("volumes = [%q]\nenv = { DATA = \"/data\" }", fc.rig.volume(fc.service)+":/data")
		step := fmt.Sprintf("[[steps]]\nname = \"migrate\"\ncomponent = \"db\"\ncmd = [\"/app\", \"migrate\", %q, \"1s\", \"0\"]\n"+
			"depends_on = [\"db\"]\nstop_timeout = \"2s\"\n", tag)
		return definition(fc, "", component("app", fc.rig.shared(tag), ""), component("db", fc.rig.shared(tag), more), step)
	}
}

// apart has a component on each of two nodes.
func apart(tag string) text {
	return func(fc *faultCase) string {
		return definition(fc, "", component("app", fc.rig.shared(tag), ""), component("far", fc.rig.shared(tag), fmt.Sprintf("node = %q", fc.neighbour())))
	}
}

// neighbour is the node after the case's.
func (fc *faultCase) neighbour() string {
	return nodeNames[(slices.Index(nodeNames, fc.node)+1)%len(fc.rig.nodes)]
}

// shared is the image that most scenarios use, by its version.
func (r *rig) shared(tag string) string { return r.image + "/app:" + tag }

// buildImages writes the sources, and builds the images that scenarios share.
func (r *rig) buildImages(app string) error {
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
		fc := &faultCase{rig: r, service: "images-" + tag, node: nodeNames[0]}
		head := fmt.Sprintf("[build.images]\napp = \"Containerfile.%s\"\n", tag)
		if err := r.define(fc.service, definition(fc, head, component("app", r.shared(tag), ""))); err != nil {
			return err
		}
		if err := r.run("build", fc.service); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) define(service, text string) error {
	return os.WriteFile(filepath.Join(r.path("services"), service+".toml"), []byte(text), 0o600)
}

// cancelDelay is how long after the start of its first container a deploy is
// cancelled.
const cancelDelay = 500 * time.Millisecond
