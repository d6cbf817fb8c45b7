package command

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// relaunchOnHangup starts the program again on each SIGHUP, until ctx ends. The new
// process runs the binary that is installed by then, and takes this one's sockets; if it
// fails before that, this one goes on.
func relaunchOnHangup(ctx context.Context, log *slog.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if err := relaunch(); err != nil {
				log.Error("the new process has not taken over; this one goes on", "error", err)
			}
		}
	}()
}

// relaunch runs the program with the arguments of this process, and returns if it ends.
func relaunch() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// notify reports to systemd, if that has started this process, that the edge serves, and
// which process it is: after a SIGHUP it is another one.
func notify(getenv func(string) string) error {
	address := getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	if address[0] == '@' {
		address = "\x00" + address[1:]
	}
	conn, err := net.Dial("unixgram", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "READY=1\nMAINPID=%d", os.Getpid())
	return err
}
