package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// The services of the platform: one is deployed, and the other stays as it is.
const (
	deployed = "deployed"
	steady   = "steady"
)

// shareOfSaturation is the load of each of two proxies during a deploy, of the rate that the
// slower one sustains alone: together a fifth, since they share the processors.
const shareOfSaturation = 0.1

// drained is how long the predecessor serves after each deploy: the load goes on until the
// predecessor has gone.
const drained = time.Second

// The ways of the requests: to the service that is deployed, and to the one that stays as it
// is, through mcp-edge and through plain Caddy. The latter two differ in the proxy alone.
const (
	deployedByEdge = "deployed, through " + edge
	steadyByEdge   = "steady, through " + edge
	steadyByCaddy  = "steady, through " + caddy
)

// ways are in the order of the report. The two of a pair are measured at a time, one deploy
// after the other: three would be more than two processors handle beside a deploy.
var (
	ways  = []string{deployedByEdge, steadyByEdge, steadyByCaddy}
	pairs = [][]string{{deployedByEdge, steadyByCaddy}, {steadyByEdge, steadyByCaddy}}
)

// deploying is what was measured during deploys over http, by the way of the requests.
type deploying struct {
	Rate     int                `json:"requests_per_second"`
	Deploys  int                `json:"deploys"`
	P99      map[string]samples `json:"p99_ms"`
	Requests map[string]uint64  `json:"requests"`
	Failures map[string]uint64  `json:"failures"`
}

// deploysPerRound is how many deploys are measured for each round of the other rows: the
// slowest hundredth of the requests of a second or two varies much.
const deploysPerRound = 3

// platform is a platform of mcp with an edge, in a directory of its own.
type platform struct {
	mcp, dir string
	info     struct {
		Config        string `json:"config"`
		ImageRegistry string `json:"image_registry"`
		Edge          *struct {
			HTTP string `json:"http"`
		} `json:"edge"`
	}
}

// startPlatform starts a platform, with a source from which both services are built: this
// very program, which serves the body when it is asked to.
func startPlatform(ctx context.Context, mcp, dir string) (*platform, error) {
	p := &platform{mcp: mcp, dir: dir}
	source := filepath.Join(dir, "workspace", "src")
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.MkdirAll(source, 0o755), os.MkdirAll(filepath.Join(dir, "services"), 0o755), os.Chmod(dir, 0o755),
		os.WriteFile(filepath.Join(source, "app"), text, 0o755),
		os.WriteFile(filepath.Join(source, "Containerfile"), []byte("FROM scratch\nCOPY app /app\nCMD [\"/app\", \"serve\"]\n"), 0o600))
	if err != nil {
		return nil, err
	}
	answer, err := p.run(ctx, "dev", "--detach", "--json", "--dir", filepath.Join(dir, "platform"),
		"--workspace", filepath.Join(dir, "workspace"), "--services", filepath.Join(dir, "services"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &p.info); err != nil {
		return nil, fmt.Errorf("mcp dev: %w", err)
	}
	if p.info.Edge == nil {
		return p, errors.New("the platform has no edge: make build")
	}
	return p, nil
}

// stop ends the platform and removes what it has.
func (p *platform) stop() {
	if _, err := p.run(context.Background(), "dev", "down", "--destroy", "--dir", filepath.Join(p.dir, "platform")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// run runs mcp, which must succeed, and returns what it prints.
func (p *platform) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if p.info.Config != "" {
		args = append([]string{"--config", p.info.Config}, args...)
	}
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, p.mcp, args...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("mcp %s: %w: %s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.Bytes(), nil
}

// A service is reached through the edge, or at a port of this host.
const (
	throughEdge = `[[components.routes]]
name = "http"
port = 80
mode = "l7"
hostname = "` + deployed + `.localhost"
`
	atPort = `ports = ["%s:8080"]
order = "stop-first"
[[components.routes]]
name = "http"
port = 80
mode = "l7"
hostname = "` + steady + `.localhost"
container_port = 8080
`
)

// deploy deploys a version of a service, and returns when its predecessor has gone.
func (p *platform) deploy(ctx context.Context, name string, version int, reached string) error {
	definition := fmt.Sprintf(`name = %[1]q
node = "local"
path = "src"
[build.images]
app = "Containerfile"
[[components]]
name = "web"
image = "%[2]s/app:v1"
env = { VERSION = "%[3]d" }
drain = %[4]q
%[5]s`, name, p.info.ImageRegistry, version, drained, reached)
	if err := os.WriteFile(filepath.Join(p.dir, "services", name+".toml"), []byte(definition), 0o600); err != nil {
		return err
	}
	_, err := p.run(ctx, "deploy", name, "--wait")
	return err
}

// measureDeploys measures the latency of requests to a service while that is deployed,
// beside that of requests to one that stays as it is, each way at the same time and rate.
func measureDeploys(ctx context.Context, o options, dir string) (deploying, error) {
	var d deploying
	p, err := startPlatform(ctx, o.mcp, dir)
	if p != nil {
		defer p.stop()
	}
	if err != nil {
		return d, err
	}
	port, err := freePort()
	if err != nil {
		return d, err
	}
	upstream := fmt.Sprintf("127.0.0.1:%d", port)
	if err := p.deploy(ctx, deployed, 0, throughEdge); err != nil {
		return d, err
	}
	if err := p.deploy(ctx, steady, 0, fmt.Sprintf(atPort, upstream)); err != nil {
		return d, err
	}
	s := &site{dir: filepath.Join(dir, "caddy"), hosts: []string{steady + ".localhost"}, upstream: upstream, programsMustStart: time.Minute}
	defer s.stop()
	static, err := s.startCaddyAlone(ctx, o.caddy)
	if err != nil {
		return d, err
	}
	to := func(address, name string) vegeta.Target {
		return vegeta.Target{Method: http.MethodGet, URL: "http://" + address + "/", Header: http.Header{"Host": {name + ".localhost"}}}
	}
	targets := map[string]vegeta.Target{
		deployedByEdge: to(p.info.Edge.HTTP, deployed),
		steadyByEdge:   to(p.info.Edge.HTTP, steady),
		steadyByCaddy:  to(static.address("http"), steady),
	}
	saturation, err := s.saturation(ctx, o.time, targets)
	if err != nil {
		return d, err
	}
	d = deploying{Rate: int(saturation * shareOfSaturation), P99: map[string]samples{}, Requests: map[string]uint64{}, Failures: map[string]uint64{}}
	for round := range deploysPerRound*o.rounds + 1 {
		pair := pairs[round%len(pairs)]
		both := map[string]vegeta.Target{pair[0]: targets[pair[0]], pair[1]: targets[pair[1]]}
		metrics, err := attack(d.Rate, both, func() error { return p.deploy(ctx, deployed, round+1, throughEdge) })
		if err != nil {
			return d, err
		}
		fmt.Fprintf(os.Stderr, "deploy %2d, %d requests/s:", round, d.Rate)
		for _, way := range pair {
			m := metrics[way]
			p99 := milliseconds(m.Latencies.P99)
			fmt.Fprintf(os.Stderr, " %s p99 %.2f ms, %.4f %% of %d succeeded;", way, p99, 100*m.Success, m.Requests)
			d.Requests[way] += m.Requests
			d.Failures[way] += failures(m)
			if round > 0 { // the first one warms up
				d.P99[way] = append(d.P99[way], p99)
			}
		}
		fmt.Fprintln(os.Stderr)
		d.Deploys++
	}
	return d, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func failures(m *vegeta.Metrics) uint64 {
	return m.Requests - uint64(float64(m.Requests)*m.Success+0.5)
}

// attack sends requests to each target at a rate, all at the same time, while do runs.
func attack(rate int, targets map[string]vegeta.Target, do func() error) (map[string]*vegeta.Metrics, error) {
	metrics := map[string]*vegeta.Metrics{}
	var attackers []*vegeta.Attacker
	var running sync.WaitGroup
	for name, target := range targets {
		m := &vegeta.Metrics{}
		metrics[name] = m
		attacker := vegeta.NewAttacker(vegeta.KeepAlive(true), vegeta.Workers(16), vegeta.Timeout(10*time.Second))
		attackers = append(attackers, attacker)
		results := attacker.Attack(vegeta.NewStaticTargeter(target), vegeta.Rate{Freq: rate, Per: time.Second}, 0, name)
		running.Go(func() {
			for r := range results {
				m.Add(r)
			}
			m.Close()
		})
	}
	err := do()
	for _, a := range attackers {
		a.Stop()
	}
	running.Wait()
	return metrics, err
}

// saturation returns the rate that the slower of the targets sustains, one after the
// other.
func (s *site) saturation(ctx context.Context, d time.Duration, targets map[string]vegeta.Target) (float64, error) {
	lowest := 0.0
	for name, target := range targets {
		text, err := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", connections), "-d"+d.String(), "--latency",
			"-H", "Host: "+target.Header.Get("Host"), target.URL).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("wrk: %w: %s", err, text)
		}
		rate, _, err := parseWrk(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if lowest == 0 || rate < lowest {
			lowest = rate
		}
	}
	return lowest, nil
}

// serve answers every request with the body, until the process is asked to end.
func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(body))
	})}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
