package crash

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// visitor asks a service again and again, with a pause between, at the port that the registry names, as
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

func (p *play) newVisitor(pause time.Duration) *visitor {
	ctx, stop := context.WithCancel(context.Background())
	c := &visitor{play: p, stop: stop, done: make(chan struct{}), asked: map[string]int{}}
	go func() {
		defer close(c.done)
		for ctx.Err() == nil && c.failed == nil {
			c.once(ctx)
			time.Sleep(pause)
		}
	}()
	return c
}

func (c *visitor) once(ctx context.Context) {
	address, asked := c.play.address(ctx), time.Now()
	if address == "" || c.play.rig.unplugged() {
		return
	}
	answer, err := ask(address)
	if err == nil {
		c.asked[answer]++
		return
	}
	if c.play.rig.unplugged() {
		return // nobody can reach a node that is cut off
	}
	if took := time.Since(asked); took > stale && c.play.address(ctx) != address {
		return // this machine was too slow, not the deploy
	}
	c.failed = fmt.Errorf("a client of %s saw, after %v answers: %w", address, c.asked, err)
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

// address is where the service's first route is; "" if the registry does not
// say.
func (p *play) address(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	release, err := p.rig.store.Release(ctx, p.service)
	if err != nil {
		return ""
	}
	for _, member := range release.Members() {
		for _, route := range member.Routes {
			return net.JoinHostPort(p.rig.node(member.Node).address, strconv.Itoa(route.HostPort))
		}
	}
	return ""
}

// ask fetches an address once.
func ask(address string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
