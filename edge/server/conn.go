package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// tlsRecord is the first byte of a TLS handshake.
const tlsRecord = 0x16

// maxHello bounds what is kept of a connection while its server name is searched for.
// Clients send less than 4 KiB.
const maxHello = 32 << 10

// conn is a connection of which the first bytes have been read, and are read again.
type conn struct {
	net.Conn
	first []byte
	close func()
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		if c.first = c.first[n:]; len(c.first) == 0 {
			c.first = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// WriteTo lets what follows the first bytes be copied in the kernel.
func (c *conn) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c.first)
	c.first = nil
	if err != nil {
		return int64(n), err
	}
	m, err := io.Copy(w, c.Conn)
	return int64(n) + m, err
}

// ReadFrom lets what is sent be copied in the kernel.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite ends one direction of the connection.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *conn) Close() error {
	defer c.close()
	return c.Conn.Close()
}

// peek reads the first bytes, at least one.
func (c *conn) peek() error {
	buffer := make([]byte, 2<<10)
	n, err := c.Conn.Read(buffer)
	if n == 0 {
		return err
	}
	c.first = buffer[:n]
	return nil
}

// secure reports whether the connection begins as a TLS handshake does.
func (c *conn) secure() bool { return c.first[0] == tlsRecord }

var errHello = errors.New("the handshake has been read")

// serverName reads a TLS handshake up to its server name, and returns that; "" if it
// has none, or is damaged. All that was read is read again. The parser is crypto/tls,
// which puts fragments together.
func (c *conn) serverName() (name string) {
	r := &recorder{Conn: c.Conn, kept: c.first}
	server := tls.Server(r, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name = hello.ServerName
		return nil, errHello
	}})
	_ = server.Handshake() // it always fails
	c.first = r.kept
	return name
}

// recorder keeps what is read, and sends nothing.
type recorder struct {
	net.Conn
	kept []byte
	read int
}

func (r *recorder) Read(p []byte) (int, error) {
	if r.read == len(r.kept) {
		if len(r.kept) >= maxHello {
			return 0, io.ErrShortBuffer
		}
		n, err := r.Conn.Read(p[:min(len(p), maxHello-len(r.kept))])
		r.kept = append(r.kept, p[:n]...)
		r.read += n
		return n, err
	}
	n := copy(p, r.kept[r.read:])
	r.read += n
	return n, nil
}

func (r *recorder) Write(p []byte) (int, error)      { return len(p), nil }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// isHTTP2 reports whether a connection without TLS begins as one of HTTP/2 does.
func (c *conn) isHTTP2() bool { return bytes.HasPrefix(c.first, []byte("PRI * HTTP/2")) }
