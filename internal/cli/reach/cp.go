package reach

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
)

func newCopy(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "cp SOURCE DESTINATION",
		Short: "Copy files between this machine and a container",
		Long: `Cp copies a file or a directory from a container to this machine, or the reverse.
One of the two is SERVICE/COMPONENT:PATH, with the whole path; the other is a path
here. Directories are copied with what is in them, and links as links.

A destination that is a directory gets the source in it; any other one is the new
name of the source. What gets into a container belongs to the container's user.
With - as destination the file goes to standard output, and with - as source
standard input becomes the file.

The files are a stream of the node, which needs a gateway. A stream that breaks
has exit code 5; here a file then has no part of it, or its former content.`,
		Example: "  mcp cp shop/db:/var/lib/dump.sql .\n  mcp cp ./conf shop/api:/etc/app\n  mcp cp shop/db:/etc/hosts -",
		Args:    session.Args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, fromContainer := containerPath(args[0])
			to, toContainer := containerPath(args[1])
			switch {
			case fromContainer == toContainer:
				return exit.Usage(fault.New(fault.Invalid, "one of %.200q and %.200q must be in a container, and only one: SERVICE/COMPONENT:/PATH", args[0], args[1]))
			case fromContainer && s.JSON && args[1] == "-":
				return exit.Usage(fault.New(fault.Invalid, "the file and --json cannot both go to standard output"))
			case fromContainer:
				return copyFrom(cmd.Context(), s, from, args[1])
			}
			return copyTo(cmd.Context(), s, args[0], to)
		},
	}
}

// place is a path in a container.
type place struct{ target, path string }

// containerPath parses SERVICE[/COMPONENT]:PATH. What begins with "/" or "." is a path
// on this machine.
func containerPath(text string) (p place, ok bool) {
	target, in, found := strings.Cut(text, ":")
	if !found || text == "" || text[0] == '/' || text[0] == '.' || !path.IsAbs(in) {
		return p, false
	}
	return place{target, in}, true
}

func copyFrom(ctx context.Context, s *session.Session, from place, to string) error {
	found, err := open(ctx, s, "cp", from.target, "podman cp")
	if err != nil {
		return err
	}
	defer found.close()
	h := session.HeaderOf(stream.CopyFrom, found.service, found.at)
	h.Copy = &stream.CopyRequest{Path: path.Clean(from.path)}
	call, err := found.streams.Call(ctx, h)
	if err != nil {
		return err
	}
	defer call.Close()
	reader, writer := io.Pipe()
	received := make(chan error, 1)
	go func() {
		_, err := call.Receive(writer, io.Discard)
		_ = writer.CloseWithError(err)
		received <- err
	}()
	var done copied
	if to == "-" {
		done, err = showFile(reader, s.Stdout)
	} else {
		done, err = unpack(reader, to)
	}
	_ = reader.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	call.Close()
	broken := <-received
	switch {
	case ctx.Err() != nil:
		return exit.Interrupted
	case err != nil && broken != nil && errors.Is(err, broken):
		return session.CutOff(broken)
	case err != nil:
		return err
	}
	return report(s, done)
}

func copyTo(ctx context.Context, s *session.Session, from string, to place) error {
	source, err := newSource(from, path.Base(path.Clean(to.path)), s.Stdin)
	if err != nil {
		return exit.Usage(err)
	}
	defer source.close()
	found, err := open(ctx, s, "cp", to.target, "podman cp")
	if err != nil {
		return err
	}
	defer found.close()
	h := session.HeaderOf(stream.CopyTo, found.service, found.at)
	h.Copy = &stream.CopyRequest{Path: path.Clean(to.path), Name: source.name}
	call, err := found.streams.Call(ctx, h)
	if err != nil {
		return err
	}
	defer call.Close()
	packed := make(chan error, 1)
	var done copied
	go func() {
		var err error
		done, err = source.pack(call)
		if err != nil {
			call.Close() // half an archive is no archive
		} else {
			err = call.CloseWrite()
		}
		packed <- err
	}()
	_, err = call.Receive(io.Discard, io.Discard)
	call.Close()
	failed := <-packed
	switch {
	case ctx.Err() != nil:
		return exit.Interrupted
	case source.failed != nil:
		return source.failed
	case err != nil:
		return session.CutOff(err)
	case failed != nil:
		return session.CutOff(fault.Wrap(fault.Unavailable, failed, "send to node %s", found.at.Node))
	}
	return report(s, done)
}

func report(s *session.Session, done copied) error {
	if s.JSON {
		s.PrintJSON(done)
	}
	return nil
}

// showFile writes the only file of an archive.
func showFile(archive io.Reader, to io.Writer) (done copied, err error) {
	entries := newEntries(archive)
	h, err := entries.next()
	if err != nil {
		return done, err
	}
	if h.Typeflag != tar.TypeReg {
		return done, fault.New(fault.Invalid, "%s is no file: only a file can go to standard output", h.Name)
	}
	n, err := io.Copy(to, entries)
	if err != nil {
		return done, err
	}
	return copied{1, n}, entries.end()
}
