package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// prober sends a service requests, with a pause between, at the address that the
// registry names, as a proxy would. While the registry does not answer it knows no
// address, and waits.
type prober struct {
	fc       *faultCase
	stop     context.CancelFunc
	done     chan struct{}
	failed   error
	answers  map[string]int // by version
	address  string
	lookedUp time.Time // when the lookup of address began
}

const (
	// staleAfter is how old an address may be: for that long after a cut-over the
	// predecessor still serves.
	staleAfter = time.Second
	// lookupInterval is how old the prober lets it become.
	lookupInterval = 250 * time.Millisecond
)

func (fc *faultCase) newProber(pause time.Duration) *prober {
	ctx, stop := context.WithCancel(context.Background())
	p := &prober{fc: fc, stop: stop, done: make(chan struct{}), answers: map[string]int{}}
	go func() {
		defer close(p.done)
		for ctx.Err() == nil && p.failed == nil {
			p.once(ctx)
			time.Sleep(pause)
		}
	}()
	return p
}

func (p *prober) once(ctx context.Context) {
	if p.address == "" || time.Since(p.lookedUp) > lookupInterval {
		p.lookedUp = time.Now()
		p.address = p.fc.address(ctx)
	}
	if p.address == "" || p.fc.rig.unplugged() {
		return
	}
	answer, err := ask(p.address)
	if err == nil {
		p.answers[answer]++
		return
	}
	if p.fc.rig.unplugged() {
		return // a node that is cut off cannot be reached
	}
	if took := time.Since(p.lookedUp); took > staleAfter && p.fc.address(ctx) != p.address {
		p.address = ""
		return // this machine was too slow, not the deploy
	}
	p.failed = fmt.Errorf("a client of %s saw, after %v answers: %w", p.address, p.answers, err)
}

// end stops the requests, and returns what went wrong.
func (p *prober) end() error {
	p.stop()
	<-p.done
	if p.failed == nil && len(p.answers) == 0 {
		return errors.New("a client got no answer at all")
	}
	return p.failed
}

// address returns the address of the service's first route; "" if the registry does
// not answer.
func (fc *faultCase) address(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	address, _ := fc.released(ctx)
	return address
}

// released returns the address of the service's first route.
func (fc *faultCase) released(ctx context.Context) (string, error) {
	release, err := fc.rig.store.Release(ctx, fc.service)
	if err != nil {
		return "", err
	}
	for _, member := range release.Members() {
		for _, route := range member.Routes {
			return net.JoinHostPort(fc.rig.node(member.Node).address, strconv.Itoa(route.HostPort)), nil
		}
	}
	return "", errors.New("the release has no route")
}

// ask sends one request to an address.
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
