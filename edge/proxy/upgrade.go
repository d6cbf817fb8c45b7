package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

var errUpgrade = errors.New("the upstream changes to a protocol that was not asked for")

// switchProtocols connects the client with an upstream that has changed to the protocol
// for which the client asked, until both have ended.
func (e *exchange) switchProtocols(response *http.Response, u *upstream) error {
	kind := response.Header.Get("Upgrade")
	if asked := e.upgrade(); asked == "" || !strings.EqualFold(asked, kind) {
		return errUpgrade
	}
	upstream, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		return errUpgrade
	}
	client, buffered, err := e.control.Hijack()
	if err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	e.status, e.wrote, e.upgraded = response.StatusCode, true, true
	both := &pair{&hijacked{Conn: client, buffered: buffered.Reader}, upstream}
	defer func() { _ = both.Close() }()
	defer u.stream(both)()

	inward(response.Header)
	response.Header["Connection"], response.Header["Upgrade"] = []string{"Upgrade"}, []string{kind}
	for name, values := range e.w.Header() {
		if response.Header[name] == nil {
			response.Header[name] = values
		}
	}
	_ = client.SetDeadline(time.Now().Add(e.turn.proxy.options.ClientIdle))
	response.Body = nil // which would be written
	if err := errors.Join(response.Write(buffered.Writer), buffered.Flush(), client.SetDeadline(time.Time{})); err != nil {
		return err
	}
	e.received, e.bytes = both.copy()
	return nil
}

// hijacked is a client's connection from which the server has already read something.
type hijacked struct {
	net.Conn
	buffered *bufio.Reader // nil when nothing is left in it
}

func (h *hijacked) Read(data []byte) (int, error) {
	if h.buffered != nil {
		if n := h.buffered.Buffered(); n > 0 {
			return h.buffered.Read(data[:min(n, len(data))])
		}
		h.buffered = nil
	}
	return h.Conn.Read(data)
}

// CloseWrite ends the direction to the client, if its connection can.
func (h *hijacked) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
