package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metacircular/mcp/internal/fault"
)

// A handover gives the sockets of one process to the next one on the same data
// directory. Both have the same queue of connections from then on, so that closing the
// sockets of the former loses none: a socket of its own beside the former one, with
// SO_REUSEPORT, loses those that wait in the queue that is closed.
//
// The next process connects to handoverSocket, a seqpacket socket, and receives offers
// with the sockets attached. When it listens on them, it sends one byte. The former one
// stops accepting connections and reading packets, and sends one byte in turn. A process
// that dies in between leaves the other one as it was.
type handover struct {
	data    string
	former  *net.UnixConn // to the former process; nil if there is none
	sockets map[string]*os.File
	next    *net.UnixListener // for the next process
}

const (
	handoverSocket = "handover.sock"
	// handoverTime bounds each step of a handover.
	handoverTime = 10 * time.Second
	// readyTime bounds how long a new process takes until it listens.
	readyTime = 2 * time.Minute
	// batch is how many sockets one message has; the kernel permits 253.
	batch      = 64
	maxMessage = 64 << 10
)

// offer is a message with sockets: their names, in the order in which they are attached.
type offer struct {
	Sockets []string `json:"sockets"`
	Last    bool     `json:"last"`
}

// inherit takes the sockets of the process that serves from the data directory, if
// there is one.
func inherit(ctx context.Context, data string) (*handover, error) {
	h := &handover{data: data, sockets: map[string]*os.File{}}
	var dialer net.Dialer
	err := h.at(func(path string) error {
		c, err := dialer.DialContext(ctx, "unixpacket", path)
		if err == nil {
			h.former = c.(*net.UnixConn)
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return h, nil
	case err == nil:
		err = h.take()
	}
	if err != nil {
		h.abandon()
	}
	return h, err
}

// at calls do with a path of the socket that is short enough for the kernel.
func (h *handover) at(do func(path string) error) error {
	dir, err := os.Open(h.data)
	if err != nil {
		return err
	}
	defer dir.Close()
	raw, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	control := raw.Control(func(fd uintptr) { err = do(fmt.Sprintf("/proc/self/fd/%d/%s", fd, handoverSocket)) })
	return errors.Join(control, err)
}

// take receives the sockets of the former process.
func (h *handover) take() error {
	_ = h.former.SetDeadline(time.Now().Add(handoverTime))
	message, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*batch))
	for {
		n, m, _, _, err := h.former.ReadMsgUnix(message, rights)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "receiving the sockets of the former process")
		}
		fds, err := received(rights[:m])
		if err != nil {
			return err
		}
		var o offer
		err = json.Unmarshal(message[:n], &o)
		for i, fd := range fds {
			name := fmt.Sprint("unnamed ", len(h.sockets))
			if i < len(o.Sockets) {
				name = o.Sockets[i]
			}
			h.sockets[name] = os.NewFile(uintptr(fd), name)
		}
		if err != nil || len(fds) != len(o.Sockets) {
			return fault.New(fault.Invalid, "the former process sent %d sockets with %d names", len(fds), len(o.Sockets))
		}
		if o.Last {
			return nil
		}
	}
}

func received(rights []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	for i := range messages {
		some, parseErr := unix.ParseUnixRights(&messages[i])
		fds, err = append(fds, some...), errors.Join(err, parseErr)
	}
	return fds, err
}

// listener returns the former process's listener of an address; nil if there is none.
func (h *handover) listener(address string) *net.TCPListener {
	l, _ := use(h, "tcp "+address, net.FileListener).(*net.TCPListener)
	return l
}

// packets returns the former process's udp socket of an address; nil if there is none.
func (h *handover) packets(address string) *net.UDPConn {
	c, _ := use(h, "udp "+address, net.FilePacketConn).(*net.UDPConn)
	return c
}

func use[T any](h *handover, name string, open func(*os.File) (T, error)) any {
	file := h.sockets[name]
	if file == nil {
		return nil
	}
	delete(h.sockets, name)
	defer file.Close()
	socket, err := open(file)
	if err != nil {
		return nil
	}
	return socket
}

// complete makes the former process stop accepting connections and reading packets. It
// returns when that process has done so, or is gone.
func (h *handover) complete() {
	if h.former == nil {
		return
	}
	_ = h.former.SetDeadline(time.Now().Add(handoverTime))
	if _, err := h.former.Write([]byte{1}); err == nil {
		_, _ = h.former.Read(make([]byte, 1))
	}
	_ = h.former.Close()
	h.former = nil
}

// abandon closes what has been received and is not used.
func (h *handover) abandon() {
	for name, file := range h.sockets {
		_ = file.Close()
		delete(h.sockets, name)
	}
	if h.former != nil {
		_ = h.former.Close()
		h.former = nil
	}
}

// offer waits for a new process, unless it does already.
func (s *Server) offer() {
	h := s.handover
	if h.next != nil {
		return
	}
	h.abandon()
	err := h.at(func(path string) error {
		_ = os.Remove(path)
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		h.next = l
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		s.log.Warn("a new process of the edge will not be able to take the sockets of this one", "error", err)
		return
	}
	s.loops.Go(func() { s.give(h.next) })
}

// give gives the sockets to the first process that takes them.
func (s *Server) give(next *net.UnixListener) {
	for {
		c, err := next.AcceptUnix()
		if err != nil {
			return
		}
		if err = s.giveTo(c); err == nil {
			_ = next.Close()
			close(s.taken)
			_, _ = c.Write([]byte{1})
			_ = c.Close()
			return
		}
		s.log.Warn("the sockets were not taken by another process", "error", err)
		_ = c.Close()
	}
}

// giveTo sends the sockets to a process, and releases them when it listens on them.
func (s *Server) giveTo(c *net.UnixConn) error {
	if err := sameUser(c); err != nil {
		return err
	}
	defer context.AfterFunc(s.life, func() { _ = c.Close() })()
	_ = c.SetDeadline(time.Now().Add(handoverTime))
	names, fds, err := s.sockets()
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	if err != nil {
		return err
	}
	for sent := 0; ; sent += batch {
		end := min(sent+batch, len(names))
		message, err := json.Marshal(offer{Sockets: names[sent:end], Last: end == len(names)})
		if err != nil {
			return err
		}
		if _, _, err := c.WriteMsgUnix(message, unix.UnixRights(fds[sent:end]...), nil); err != nil {
			return err
		}
		if end == len(names) {
			break
		}
	}
	_ = c.SetDeadline(time.Now().Add(readyTime))
	if n, err := c.Read(make([]byte, 1)); err != nil || n == 0 {
		return errors.Join(err, errors.New("the new process has not listened"))
	}
	s.release(true)
	return nil
}

// sameUser returns an error unless the other end of the socket is a process of this
// process's user.
func sameUser(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	control := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(control, err); err != nil {
		return err
	}
	if int(peer.Uid) != os.Geteuid() {
		return fault.New(fault.Unauthorized, "user %d asks for the sockets of user %d", peer.Uid, os.Geteuid())
	}
	return nil
}

// sockets returns duplicates of the sockets, with their names.
func (s *Server) sockets() (names []string, fds []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(name string, socket syscall.Conn) {
		raw, e := socket.SyscallConn()
		if e == nil {
			control := raw.Control(func(fd uintptr) {
				var copied int
				if copied, e = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); e == nil {
					names, fds = append(names, name), append(fds, copied)
				}
			})
			e = errors.Join(e, control)
		}
		err = errors.Join(err, e)
	}
	for number, p := range s.streams {
		add("tcp "+s.address(number), p.listener)
	}
	for number, p := range s.packets {
		add("udp "+s.address(number), p.conn)
	}
	return names, fds, err
}

// withdraw ends the offer of the sockets.
func (h *handover) withdraw() {
	if h.next != nil && h.next.Close() == nil {
		_ = os.Remove(filepath.Join(h.data, handoverSocket))
	}
	h.abandon()
}
