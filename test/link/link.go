// Package link is a network link for tests and measurements, as slow as one to another
// continent.
package link

import (
	"io"
	"net"
	"sync"
	"time"
)

// Link is a slow link to an address: whatever is sent arrives half a round trip later, in
// both directions, and a connection takes a round trip before that.
type Link struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	trip     time.Duration
	serving  sync.WaitGroup
}

// New returns a link from what a listener accepts to what dial connects to.
func New(listener net.Listener, trip time.Duration, dial func() (net.Conn, error)) *Link {
	l := &Link{listener: listener, dial: dial, trip: trip}
	l.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			l.serving.Go(func() { l.serve(conn) })
		}
	})
	return l
}

// To returns a link from a free port of this host to an address.
func To(address string, trip time.Duration) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return New(listener, trip, func() (net.Conn, error) { return net.Dial("tcp", address) }), nil
}

// Address is where it listens.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Close ends the link, once its connections have ended.
func (l *Link) Close() error {
	err := l.listener.Close()
	l.serving.Wait()
	return err
}

// serve passes on one connection. Its client has had no answer to its first packet before
// a round trip; the server has the last packet of the handshake half a round trip later.
func (l *Link) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	established := time.Now().Add(l.trip)
	early := make(chan parcel, parcels)
	go collect(client, early, func(now time.Time) time.Time {
		if now.Before(established) {
			now = established
		}
		return now.Add(l.trip / 2)
	})
	time.Sleep(time.Until(established.Add(l.trip / 2)))
	server, err := l.dial()
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	late := make(chan parcel, parcels)
	go collect(server, late, func(now time.Time) time.Time { return now.Add(l.trip / 2) })
	var both sync.WaitGroup
	both.Go(func() { deliver(server, early) })
	both.Go(func() { deliver(client, late) })
	both.Wait()
}

// parcel is what was sent at once, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

// parcels is how many are on their way at most.
const parcels = 1 << 12

// collect reads what is sent, until its end.
func collect(from io.Reader, way chan<- parcel, due func(time.Time) time.Time) {
	defer close(way)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			way <- parcel{buffer[:n], due(time.Now())}
		}
		if err != nil {
			return
		}
	}
}

// deliver writes each parcel when it is due. The end of the connection is one.
func deliver(to net.Conn, way <-chan parcel) {
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.Close()
	for range way { // its sender does not wait for ever
	}
}
