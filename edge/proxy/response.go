package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// respond sends an upstream's answer to the client.
func (e *exchange) respond(response *http.Response, u *upstream) error {
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return e.switchProtocols(response, u)
	}
	inward(response.Header)
	h := e.w.Header()
	encoder := e.encoder(response)
	for name, values := range response.Header {
		h[name] = values
	}
	announced := len(response.Trailer)
	if announced > 0 {
		names := make([]string, 0, announced)
		for name := range response.Trailer {
			names = append(names, name)
		}
		h["Trailer"] = []string{strings.Join(names, ", ")}
	}
	if e.in.ProtoMajor == 1 && e.body.unfinished() {
		h["Connection"] = []string{"close"}
	}
	e.status, e.wrote = response.StatusCode, true
	e.w.WriteHeader(response.StatusCode)
	if err := e.send(response, encoder); err != nil {
		return err
	}
	_ = response.Body.Close() // which completes the trailers
	e.trailers(response, announced)
	e.bound()
	return nil
}

// trailers sends the trailers of an answer. Those that were not announced need a
// prefix.
func (e *exchange) trailers(response *http.Response, announced int) {
	if len(response.Trailer) == 0 {
		return
	}
	_ = e.control.Flush() // without a length there can be trailers
	prefix := ""
	if len(response.Trailer) != announced {
		prefix = http.TrailerPrefix
	}
	h := e.w.Header()
	for name, values := range response.Trailer {
		h[prefix+name] = values
	}
}

// flushLater is how long the headers of a stream wait for the first bytes of its body.
const flushLater = 5 * time.Millisecond

// send copies the body of an answer. What an upstream sends piece by piece is sent on
// piece by piece.
func (e *exchange) send(response *http.Response, encoder *encoder) error {
	if response.Body == http.NoBody || response.ContentLength == 0 {
		return nil
	}
	s := &e.sender
	s.e, s.idle = e, e.turn.proxy.options.ClientIdle
	var to io.Writer = s
	if encoder != nil {
		encoder.begin(s)
		defer encoder.release()
		to = encoder
	}
	if streams(response) {
		s.flushSoon()
		defer s.first()
	}
	buffer := bufferPool.Get().(*[]byte)
	defer bufferPool.Put(buffer)
	for {
		n, err := response.Body.Read(*buffer)
		if n > 0 {
			s.first()
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			if encoder != nil {
				if err := encoder.end(); err != nil {
					return err
				}
			}
			return nil
		case err != nil:
			return err
		case n > 0 && (n < smallPiece || response.ContentLength < 0):
			// The next piece may be long in coming.
			if encoder != nil {
				if err := encoder.flush(); err != nil {
					return err
				}
			}
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
}

// smallPiece is what the server may keep in its buffer.
const smallPiece = 4 << 10

// streams reports whether the body of an answer may be long in coming.
func streams(r *http.Response) bool {
	return r.ContentLength < 0 || strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream")
}

// sender writes to the client, and ends if the client takes nothing for too long. Its
// timers touch the answer only while they hold mu, and not when the handler returns.
type sender struct {
	e    *exchange
	idle time.Duration

	deadline time.Time   // of an HTTP/1 connection, as it was set last
	pending  *time.Timer // which sends the headers
	timer    *time.Timer // which ends a write

	mu      sync.Mutex
	started bool      // the body, or the end of the answer
	since   time.Time // when the current write began; zero if there is none
}

// flushSoon sends the headers unless the body begins in a moment.
func (s *sender) flushSoon() {
	s.pending = time.AfterFunc(flushLater, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.started {
			s.e.bound()
			_ = s.e.control.Flush()
		}
	})
}

// first notes that the body begins, or that there is none.
func (s *sender) first() {
	if s.pending == nil {
		return
	}
	s.pending.Stop()
	s.pending = nil
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
}

func (s *sender) Write(data []byte) (int, error) {
	s.guard()
	n, err := s.e.w.Write(data)
	s.unguard()
	s.e.bytes += int64(n)
	return n, err
}

func (s *sender) flush() error {
	s.guard()
	err := s.e.control.Flush()
	s.unguard()
	return err
}

// guard bounds a write. The deadline of an HTTP/1 connection matters to writes alone;
// that of a stream ends it when it passes, so that there a timer sets one only while a
// write waits.
func (s *sender) guard() {
	now := time.Now()
	if s.e.in.ProtoMajor == 1 {
		if s.deadline.Sub(now) < s.idle*7/8 {
			s.deadline = now.Add(s.idle)
			_ = s.e.control.SetWriteDeadline(s.deadline)
		}
		return
	}
	s.mu.Lock()
	s.since = now
	s.mu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(s.idle, s.expire)
	} else {
		s.timer.Reset(s.idle)
	}
}

func (s *sender) unguard() {
	if s.timer != nil {
		s.timer.Stop()
		s.mu.Lock()
		s.since = time.Time{}
		s.mu.Unlock()
	}
}

// expire ends the write that has waited for too long.
func (s *sender) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() && time.Since(s.since) >= s.idle {
		_ = s.e.control.SetWriteDeadline(time.Now())
	}
}

// bound bounds what the server sends after the handler has returned, or on its own.
func (e *exchange) bound() {
	_ = e.control.SetWriteDeadline(time.Now().Add(e.turn.proxy.options.ClientIdle))
}
