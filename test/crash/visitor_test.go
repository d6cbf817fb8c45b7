package crash

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// visitor asks a service without pause, at the port that the registry names, as
// a proxy would. While the registry cannot be asked it does not know where to
// go, and waits.
type visitor struct {
	play   *play
	stop   context.CancelFunc
	done   chan struct{}
	failed error
	asked  map[string]int // answers, by version
}

// stale is how old an answer of the registry's may be: for that long after a
// cut-over the predecessor still serves.
const stale = time.Second

func (p *play) newVisitor() *visitor {
	ctx, stop := context.WithCancel(context.Background())
	c := &visitor{play: p, stop: stop, done: make(chan struct{}), asked: map[string]int{}}
	go func() {
		defer close(c.done)
		for ctx.Err() == nil && c.failed == nil {
			c.once(ctx)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return c
}

func (c *visitor) once(ctx context.Context) {
	port, asked := c.play.routePort(ctx), time.Now()
	if port == 0 {
		return
	}
	answer, err := ask(port)
	if err == nil {
		c.asked[answer]++
		return
	}
	if took := time.Since(asked); took > stale && c.play.routePort(ctx) != port {
		return // this machine was too slow, not the deploy
	}
	c.failed = fmt.Errorf("a client of port %d saw, after %v answers: %w", port, c.asked, err)
}

// end stops asking, and says what went wrong.
func (c *visitor) end() error {
	c.stop()
	<-c.done
	if c.failed == nil && len(c.asked) == 0 {
		return fmt.Errorf("a client got no answer at all")
	}
	return c.failed
}

// routePort is the port of the service's first route; 0 if the registry does
// not say.
func (p *play) routePort(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	release, err := p.rig.store.Release(ctx, p.service)
	if err != nil {
		return 0
	}
	for _, member := range release.Members() {
		for _, route := range member.Routes {
			return route.HostPort
		}
	}
	return 0
}

// ask fetches a port once.
func ask(port int) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
