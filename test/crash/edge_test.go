package crash

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/test/outside"
)

// theEdge is a host of its own, with an edge that serves every route.
const theEdge = "the edge"

// edgeName is the edge's name in the fleet.
const edgeName = "world"

// edgeFaults are those of an edge, beside processFaults and gracefulStop. Its disk holds
// its publications, its key and its certificates.
var edgeFaults = []failure{
	{
		name: "cut off for 20 s", away: 20 * time.Second,
		inject: func(fc *faultCase) error { return fc.rig.edge.cut() },
		repair: func(_ context.Context, fc *faultCase) error { return fc.rig.edge.plug() },
	},
	{
		name: "has a full disk for 20 s", away: 20 * time.Second,
		inject: func(fc *faultCase) error { return fillUp(fc.rig.path("edge/filler")) },
		repair: func(_ context.Context, fc *faultCase) error { return os.Remove(fc.rig.path("edge/filler")) },
	},
}

// edgeDisk is the size of the edge's disk.
const edgeDisk = "32m"

// startEdge starts the edge on a host, and admits its key.
func (r *rig) startEdge(ctx context.Context, on *host) error {
	r.edge = on
	data := r.path("edge")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "mode=0700,size="+edgeDisk); err != nil {
		return fmt.Errorf("mount the disk of the edge: %w", err)
	}
	door, err := r.join(ctx, identity.Edge, edgeName)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.config(theEdge), fmt.Appendf(nil, `%s[edge]
name = %q
data = %q
listen = %q
metrics = "off"
[edge.acme]
directory = "off"
`, door, edgeName, data, on.address), 0o600); err != nil {
		return err
	}
	if err := r.admitEdge(); err != nil {
		return err
	}
	r.parts[theEdge] = &part{name: theEdge, start: func(context.Context) (process, error) {
		path, args := on.inside(filepath.Join(pool.dir, "mcp-edge"), "--config", r.config(theEdge))
		return parts.Start(parts.Command{Name: theEdge, Path: path, Args: args, Env: []string{r.announcing()}, Dir: r.dir, LogFile: r.path(theEdge + ".log")})
	}}
	if err := r.parts[theEdge].up(ctx); err != nil {
		return err
	}
	return await(time.Minute, "the edge has its authority", func() bool {
		_, err := os.Stat(r.path("edge/ca/root.crt"))
		return err == nil
	})
}

// admitEdge admits the edge's key.
func (r *rig) admitEdge() error {
	own, err := seal.Load(r.path("edge/key"))
	if err != nil {
		return err
	}
	return r.run("edge", "admit", edgeName, "--key", own.Key().String())
}

// hostname is the name under which the world reaches a component.
func (fc *faultCase) hostname(component string) string {
	return component + "." + fc.service + ".localhost"
}

// site is where clients outside reach a component.
func (fc *faultCase) site(component string) (outside.Site, error) {
	root, err := os.ReadFile(fc.rig.path("edge/ca/root.crt"))
	if err != nil {
		return outside.Site{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		return outside.Site{}, errors.New("the edge's root certificate is damaged")
	}
	return outside.Site{URL: "https://" + fc.hostname(component), Dial: net.JoinHostPort(fc.rig.edge.address, "443"), Roots: roots, Pause: outsidePause}, nil
}

// outsidePause is the time between two requests of a client outside. Many rigs have such
// clients at once.
const outsidePause = 40 * time.Millisecond

// watchOutside has clients outside send requests to the first component, where the
// scenario promises that none fails.
func (fc *faultCase) watchOutside() error {
	site, err := fc.site("app")
	if err != nil {
		return err
	}
	if err := await(timeout, "the service answers through the edge", func() bool {
		_, err := through(site)
		return err == nil
	}); err != nil {
		return err
	}
	fc.outside = outside.Watch(site, time.Second, outside.Fresh, outside.Kept)
	return nil
}

// judgeOutside checks what the clients outside have seen. While the edge itself or the
// node is away, they may fail.
func (fc *faultCase) judgeOutside() error {
	if fc.outside == nil {
		return nil
	}
	report := fc.outside.Stop()
	switch {
	case fc.target == theEdge, fc.target == theNode, fc.target == theNetwork:
		return nil
	case len(report.Failures) > 0:
		return fmt.Errorf("%d requests through the edge failed, and %v succeeded; the first: %s", len(report.Failures), report.Succeeded, report.Failures[0])
	case report.Succeeded[outside.Fresh] == 0:
		return errors.New("no client got an answer through the edge")
	}
	return nil
}

// judgeEdge checks that the edge serves the components of the release, and no other.
// What it missed it gets with the monitor's next observation, so that it has a while.
func (fc *faultCase) judgeEdge(r rows) error {
	var problems []error
	served := map[string]string{}
	if r.Active {
		for _, c := range r.Components {
			served[c.Name] = c.Image[strings.LastIndex(c.Image, ":")+1:]
			if c.Image == fc.byHand.Image {
				served[c.Name] = "v1"
			}
		}
	}
	for _, component := range []string{"app", "db", "web", "far"} {
		site, err := fc.site(component)
		if err != nil {
			return err
		}
		want, got := served[component], ""
		err = await(timeout, "the edge has the release", func() bool {
			got, err = through(site)
			return got == want
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("%s answers %q through the edge instead of %q: %w", site.URL, got, want, err))
		}
	}
	return errors.Join(problems...)
}

// through sends one request through the edge. The answer is "" where it comes from no
// container.
func through(site outside.Site) (string, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, site.Dial)
		},
		TLSClientConfig:   &tls.Config{RootCAs: site.Roots},
		DisableKeepAlives: true,
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: transport}
	response, err := client.Get(site.URL + "/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %.100s", response.Status, body)
	}
	return string(body), err
}

// fillUp writes a file until its disk is full.
func fillUp(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; _, err = file.Write(make([]byte, size)) {
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
	}
	return nil
}
