// Package accepted provides a listener for connections that were accepted elsewhere: one
// port serves several protocols, and each server accepts from a queue of its own.
package accepted

import (
	"net"
	"sync"
)

// Queue is a net.Listener of the connections that are put into it.
type Queue struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// NewQueue returns a queue whose connections were accepted at an address.
func NewQueue(address net.Addr) *Queue {
	return &Queue{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Put waits until the queue's server has accepted a connection. It closes the connection
// if the queue is closed.
func (q *Queue) Put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.closed:
		_ = c.Close()
	}
}

// Accept waits for the next connection. Its error is net.ErrClosed.
func (q *Queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *Queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr returns the address at which the connections were accepted.
func (q *Queue) Addr() net.Addr { return q.address }
