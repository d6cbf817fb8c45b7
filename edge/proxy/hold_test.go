package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/proxy"
)

func TestHeldRequestsWaitForTheNewContainer(t *testing.T) {
	f := newFront(t, proxy.Options{})
	container, requests := seen(t)
	held := plain("shop.example", "", container)
	held.Held = true
	f.publish("shop", held)
	address := f.listen(80)
	const waiting = 100
	answers := make(chan int, waiting)
	for i := range waiting {
		go func() {
			response, err := http.DefaultTransport.RoundTrip(post(t, address, fmt.Sprint("/", i), strings.NewReader("hello")))
			if err != nil {
				answers <- 0
				return
			}
			response.Body.Close()
			answers <- response.StatusCode
		}()
	}
	eventually(t, "all are held", func() bool { return f.Held() == waiting })
	f.publish("blog", plain("blog.example", ""))
	eventually(t, "a change of another service releases none", func() bool { return f.Held() == waiting })
	require.Empty(t, requests, "the container has received nothing")
	require.Empty(t, f.Active())

	next := upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	f.publish("shop", plain("shop.example", "", next))
	for range waiting {
		require.Equal(t, 200, receive(t, answers))
	}
	require.Empty(t, requests)
	require.Zero(t, f.Held())
}

func TestAHoldIsBounded(t *testing.T) {
	f := newFront(t, proxy.Options{HoldTime: 50 * time.Millisecond, HoldMost: 3})
	held := plain("shop.example", "", named(t, "site"))
	held.Held = true
	f.publish("shop", held)
	address := f.listen(80)
	response, body := get(t, address, "shop.example", "/")
	require.Equal(t, 503, response.StatusCode)
	require.Equal(t, "5", response.Header.Get("Retry-After"))
	require.Contains(t, body, "being updated")

	f = newFront(t, proxy.Options{HoldMost: 3})
	f.publish("shop", held)
	address = f.listen(80)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			r := post(t, address, "/", nil).WithContext(ctx)
			response, err := http.DefaultTransport.RoundTrip(r)
			if err == nil {
				response.Body.Close()
			}
			require.ErrorIs(t, err, context.Canceled)
		})
	}
	eventually(t, "three are held", func() bool { return f.Held() == 3 })
	response, _ = get(t, address, "shop.example", "/")
	require.Equal(t, 503, response.StatusCode, "a fourth is not")
	cancel()
	all.Wait()
	eventually(t, "a client that goes away leaves the hold", func() bool { return f.Held() == 0 })
}

func TestAHeldRequestIsNotFoundWhereItsRouteIsGone(t *testing.T) {
	f := newFront(t, proxy.Options{})
	held := plain("shop.example", "", named(t, "site"))
	held.Held = true
	f.publish("shop", held)
	address := f.listen(80)
	status := make(chan int, 1)
	go func() {
		response, err := http.DefaultTransport.RoundTrip(post(t, address, "/", nil))
		if err == nil {
			response.Body.Close()
			status <- response.StatusCode
		}
	}()
	eventually(t, "it is held", func() bool { return f.Held() == 1 })
	f.publish("shop")
	require.Equal(t, 404, receive(t, status))
}

// slow starts a container that answers when release is closed, or sends the rest of
// its answer then if the path is /begun.
func slow(t testing.TB) (address string, arrived chan string, release chan struct{}) {
	arrived, release = make(chan string, 16), make(chan struct{})
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			_, _ = io.WriteString(w, "beginning ")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- r.URL.Path
		<-release
		_, _ = io.WriteString(w, "end")
	}), arrived, release
}

func TestADrainWaitsForRequestsAndForAnswersThatStream(t *testing.T) {
	f := newFront(t, proxy.Options{})
	former, arrived, release := slow(t)
	f.publish("shop", plain("shop.example", "", former))
	address := f.listen(80)
	answers := make(chan string, 2)
	for _, path := range []string{"/", "/begun"} {
		go func() {
			response, err := http.DefaultTransport.RoundTrip(post(t, address, path, nil))
			if err != nil {
				answers <- err.Error()
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			answers <- fmt.Sprint(string(body), err)
		}()
	}
	receive(t, arrived)
	receive(t, arrived)
	f.publish("shop", plain("shop.example", "", named(t, "next")))
	_, body := get(t, address, "shop.example", "/")
	require.Equal(t, "next GET /", body, "a new request goes to the new container")
	require.Equal(t, map[string]int{former: 2}, f.Active())

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.Equal(t, map[string]int{former: 2}, f.Drain(ended, []string{former, "127.0.0.1:1"}))
	drained := make(chan map[string]int, 1)
	go func() { drained <- f.Drain(within(t), []string{former}) }()
	close(release)
	require.Empty(t, receive(t, drained))
	require.ElementsMatch(t, []string{"end<nil>", "beginning end<nil>"}, []string{receive(t, answers), receive(t, answers)})
	require.Equal(t, 1, f.Known())
}

func TestIdleConnectionsToAFormerUpstreamAreClosed(t *testing.T) {
	f := newFront(t, proxy.Options{})
	states := make(chan http.ConnState, 16)
	former := start(t, &http.Server{
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ConnState: func(_ net.Conn, s http.ConnState) { states <- s },
	}, nil)
	f.publish("shop", plain("shop.example", "", former))
	address := f.listen(80)
	get(t, address, "shop.example", "/")
	for s := receive(t, states); s != http.StateIdle; s = receive(t, states) {
		require.NotEqual(t, http.StateClosed, s)
	}
	f.publish("shop", plain("shop.example", "", named(t, "next")))
	for s := receive(t, states); s != http.StateClosed; {
		s = receive(t, states)
	}
	require.Equal(t, 1, f.Known())
}

// Requests that never stop see no failure while their upstream changes all the time
// and each former one is closed as soon as it is drained.
func TestNoRequestFailsWhileUpstreamsChange(t *testing.T) {
	f := newFront(t, proxy.Options{})
	open := func() (string, func()) {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}
		return start(t, server, nil), func() { _ = server.Close() }
	}
	former, stop := open()
	f.publish("shop", plain("shop.example", "", former))
	address := f.listen(80)
	ctx, cancel := context.WithCancel(context.Background())
	failures := make(chan string, 8)
	var all sync.WaitGroup
	for range 4 {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		all.Go(func() {
			for ctx.Err() == nil {
				response, err := transport.RoundTrip(post(t, address, "/", strings.NewReader("hello")))
				if err != nil {
					failures <- err.Error()
					return
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK || string(body) != "hello" {
					failures <- fmt.Sprint(response.StatusCode, string(body), err)
					return
				}
			}
		})
	}
	for range 100 {
		next, stopNext := open()
		f.publish("shop", plain("shop.example", "", next))
		require.Empty(t, f.Drain(within(t), []string{former}))
		stop()
		former, stop = next, stopNext
	}
	cancel()
	all.Wait()
	require.Empty(t, failures)
	require.Equal(t, 1, f.Known())
}
