package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// result of mcp deploy --json, as far as it is read here.
type deployed struct {
	Outcome    string
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Components []struct {
		Name  string
		Ports map[string]int
	}
}

// deploy deploys a service, which must succeed.
func (s *site) deploy(ctx context.Context, service string) (deployed, error) {
	var d deployed
	text, err := s.mcp(ctx, "deploy", service, "--json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &d)
	}
	return d, err
}

// component is one component of a definition, which answers on a route. It does
// not drain, since the scripts that it is measured beside do not either.
func component(name, node, image string) string {
	return fmt.Sprintf(`
[[components]]
name = %q
node = %q
image = %q
drain = "0s"

[components.health]
http = "/"

[[components.routes]]
name = "http"
port = 443
mode = "l7"
`, name, node, image)
}

// define writes the definition of a service.
func (s *site) define(name string, head string, components ...string) error {
	text := fmt.Sprintf("name = %q\n%s%s", name, head, strings.Join(components, ""))
	return os.WriteFile(s.path("services", name+".toml"), []byte(text), 0o644)
}

// image is a reference in the site's image registry.
func (s *site) image(name, tag string) string {
	return fmt.Sprintf("%s/%s:%s", s.info.ImageRegistry, name, tag)
}

// source writes what an image of that version is built from, unlike any other.
func (s *site) source(name, version string) error {
	dir := s.path("workspace", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(s.path("app"))
	if err != nil {
		return err
	}
	unlike := make([]byte, 16)
	_, _ = rand.Read(unlike) // it never fails
	if err := os.WriteFile(filepath.Join(dir, "app"), append(program, unlike...), 0o755); err != nil {
		return err
	}
	containerfile := "FROM scratch\nCOPY app /app\nENV VERSION=" + version + "\nCMD [\"/app\"]\n"
	return os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o644)
}

// publish builds an image of that version on the platform's node and pushes it.
func (s *site) publish(ctx context.Context, name, version string) (string, error) {
	image := s.image(name, version)
	if err := s.source(name, version); err != nil {
		return "", err
	}
	if _, err := s.podman(ctx, s.nodes[0], "build", "-q", "-t", image, s.path("workspace", name)); err != nil {
		return "", err
	}
	if _, err := s.podman(ctx, s.nodes[0], "push", "-q", "--tls-verify=false", image); err != nil {
		return "", err
	}
	_, err := s.podman(ctx, s.nodes[0], "rmi", image)
	return image, err
}

// script is one of those in scripts, which speaks to a node's podman.
func (s *site) script(ctx context.Context, n *node, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join("bench", "scripts", name)}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINER_HOST="+n.socket)
	return cmd
}

// updated is what an update took, in milliseconds from the start of what did it.
type updated struct {
	serves float64 // until the new one gave its first answer, as that says itself
	told   float64 // until the command said so
	total  float64 // until it had ended
}

// update runs a command to its end that brings up what then answers at a URL, and
// prints a line with the mark when it does. The URL is made of all that it said.
func update(cmd *exec.Cmd, mark string, url func(said string) string) (updated, error) {
	var said bytes.Buffer
	out, err := cmd.StdoutPipe()
	if err != nil {
		return updated{}, err
	}
	cmd.Stderr = cmd.Stdout
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return updated{}, err
	}
	var took updated
	for text := bufio.NewScanner(out); text.Scan(); {
		fmt.Fprintln(&said, text.Text())
		if took.told == 0 && strings.Contains(text.Text(), mark) {
			took.told = milliseconds(time.Since(started))
		}
	}
	err = cmd.Wait()
	took.total = milliseconds(time.Since(started))
	if err == nil && took.told == 0 {
		err = fmt.Errorf("it never said %q", mark)
	}
	if err == nil {
		took.serves, err = servedAfter(started, url(said.String()))
	}
	if err != nil {
		return updated{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &said)
	}
	return took, nil
}

// servedAfter asks what serves at a URL when it first did, in milliseconds from
// then.
func servedAfter(started time.Time, url string) (float64, error) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	first, err := strconv.ParseInt(response.Header.Get("First-Answer"), 10, 64)
	return milliseconds(time.Unix(0, first).Sub(started)), err
}

// publishedPort is the port of the one route of a deploy, in what mcp said of it.
var publishedPort = regexp.MustCompile(`\bhttp:(\d+)`)

// freePort is a port that the scripts use, outside of mcp's range and of the one
// that the kernel takes clients' ports from.
func freePort(i int) int { return 61100 + i }

// deployCold brings a service up from its source.
func deployCold(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	ours := func(ctx context.Context, i int) ([]float64, error) {
		version := fmt.Sprintf("ours-%d", i)
		if err := s.source("cold", version); err != nil {
			return nil, err
		}
		head := "path = \"cold\"\n[build.images]\ncold = \"Containerfile\"\n"
		if err := s.define("cold", head, component("app", "local", s.image("cold", version))); err != nil {
			return nil, err
		}
		started := time.Now()
		d, err := s.deploy(ctx, "cold")
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		if err := answers(fmt.Sprintf("http://127.0.0.1:%d/", d.Components[0].Ports["http"]), version); err != nil {
			return nil, err
		}
		_, err = s.mcp(ctx, "undeploy", "-y", "cold")
		return []float64{took}, err
	}
	theirs := func(ctx context.Context, i int) ([]float64, error) {
		version := fmt.Sprintf("theirs-%d", i)
		if err := s.source("cold", version); err != nil {
			return nil, err
		}
		n, port := s.nodes[0], fmt.Sprint(freePort(0))
		started := time.Now()
		_, err := output(s.script(ctx, n, "cold.sh", s.path("workspace", "cold"), s.image("cold", version), "bench-cold", n.address, port))
		took := milliseconds(time.Since(started))
		if err != nil {
			return nil, err
		}
		if err := answers("http://"+n.address+":"+port+"/", version); err != nil {
			return nil, err
		}
		_, err = s.podman(ctx, n, "rm", "-f", "-t", "0", "bench-cold")
		return []float64{took}, err
	}
	taken, err := interleave(ctx, 1, b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "deploy-cold", Work: "build, push, run, first 200 of a 6 MB image, a whole process", Unit: "ms", Target: 1, Warmup: 1,
		Command: "mcp deploy cold", ReferenceCommand: "bench/scripts/cold.sh",
	}, taken[0][0], taken[1][0])}, nil
}

// deployUpdate brings up a new version beside the old one, on one node with
// mcp, on another with a script, and on a third with podman's API alone.
func deployUpdate(ctx context.Context, b *bench) ([]result, error) {
	const warmup = 1
	s := b.site
	images := make([]string, warmup+b.options.samples+1)
	for i := range images {
		image, err := s.publish(ctx, "update", fmt.Sprint("v", i))
		if err != nil {
			return nil, err
		}
		images[i] = image
	}
	ours := func(ctx context.Context, i int) ([]float64, error) {
		if err := s.define("update", "", component("app", "rift", images[i+1])); err != nil {
			return nil, err
		}
		took, err := update(s.command(ctx, "deploy", "update"), "✓ app: run on rift", func(said string) string {
			return "http://" + s.nodes[1].address + ":" + publishedPort.FindStringSubmatch(said + " http:0")[1] + "/"
		})
		return []float64{took.serves, took.told, took.total}, err
	}
	theirs := func(ctx context.Context, i int) ([]float64, error) {
		n, port := s.nodes[2], fmt.Sprint(freePort(1+i%2))
		script := s.script(ctx, n, "update.sh", images[i+1], fmt.Sprint("bench-update-", i+1), n.address, port, fmt.Sprint("bench-update-", i))
		took, err := update(script, "serving", func(string) string { return "http://" + n.address + ":" + port + "/" })
		return []float64{took.serves, took.told, took.total}, err
	}
	bare := func(ctx context.Context, i int) ([]float64, error) {
		return newAPI(s.nodes[3]).update(ctx, images[i+1], fmt.Sprint("bench-update-", i+1), freePort(1+i%2), fmt.Sprint("bench-update-", i))
	}
	// What is there before the first round.
	if err := s.define("update", "", component("app", "rift", images[0])); err != nil {
		return nil, err
	}
	if _, err := s.deploy(ctx, "update"); err != nil {
		return nil, err
	}
	for _, n := range s.nodes[2:] {
		if _, err := output(s.script(ctx, n, "run.sh", n.socket, images[0], "bench-update-0", n.address, fmt.Sprint(freePort(2)))); err != nil {
			return nil, err
		}
	}
	taken, err := interleave(ctx, warmup, b.options.samples, ours, theirs, bare)
	if err != nil {
		return nil, err
	}
	for _, n := range s.nodes[2:] {
		if _, err := s.podman(ctx, n, "rm", "-f", "-t", "0", "-a"); err != nil {
			return nil, err
		}
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "update"); err != nil {
		return nil, err
	}
	about := result{Unit: "ms", Warmup: warmup, Command: "mcp deploy update", ReferenceCommand: "bench/scripts/update.sh"}
	serves, told, total, over := about, about, about, about
	serves.Name, serves.Work, serves.Target = "deploy-update", "new version, image in the registry, start-first, until the new one serves", 1.5
	told.Name, told.Work, told.Target = "deploy-update-told", "the same until the command says that it does", 1.5
	total.Name, total.Work, total.Target = "deploy-update-total", "the same until the old one is gone", 1
	over.Name, over.Work, over.Target = "deploy-update-over-api", "what deploy-update takes longer than the bare API calls", 150
	over.ReferenceCommand = "pull, create, start over podman's API, GET until 200"
	return []result{
		against(serves, taken[0][0], taken[1][0]),
		against(told, taken[0][1], taken[1][1]),
		against(total, taken[0][2], taken[1][2]),
		alone(over, differences(taken[0][0], taken[2][0])),
	}, nil
}

// differences are how much longer the one took than the other, round by round.
func differences(ours, theirs samples) samples {
	var d samples
	for i := range ours {
		d = append(d, ours[i]-theirs[i])
	}
	return d
}

// bring brings up a service of one component on the second node.
func (s *site) bring(ctx context.Context, service string) error {
	image, err := s.publish(ctx, service, "v1")
	if err != nil {
		return err
	}
	if err := s.define(service, "", component("app", s.nodes[1].name, image)); err != nil {
		return err
	}
	_, err = s.deploy(ctx, service)
	return err
}

// deployUnchanged deploys what runs already.
func deployUnchanged(ctx context.Context, b *bench) ([]result, error) {
	s := b.site
	if err := s.bring(ctx, "same"); err != nil {
		return nil, err
	}
	ours := timed(func(ctx context.Context, _ int) error {
		d, err := s.deploy(ctx, "same")
		if err == nil && d.Outcome != "unchanged" {
			err = fmt.Errorf("the outcome is %s", d.Outcome)
		}
		return err
	})
	theirs := timed(func(ctx context.Context, _ int) error {
		_, err := s.podman(ctx, s.nodes[1], "ps")
		return err
	})
	taken, err := interleave(ctx, 2, 2*b.options.samples, ours, theirs)
	if err != nil {
		return nil, err
	}
	if _, err := s.mcp(ctx, "undeploy", "-y", "same"); err != nil {
		return nil, err
	}
	return []result{against(result{
		Name: "deploy-unchanged", Work: "nothing to do, a whole process", Unit: "ms", Target: 3, Warmup: 2,
		Command: "mcp deploy same --json", ReferenceCommand: "podman ps",
	}, taken[0][0], taken[1][0])}, nil
}
