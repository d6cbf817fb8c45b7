// Command testapp is the program in the images of the contract test. Its first
// argument selects its behaviour.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	verb, args := "serve", []string(nil)
	if len(os.Args) > 1 {
		verb, args = os.Args[1], os.Args[2:]
	}
	switch verb {
	case "serve": // answers on $PORT until SIGTERM
		go func() { _ = http.ListenAndServe(":"+os.Getenv("PORT"), http.HandlerFunc(hello)) }()
		waitFor(syscall.SIGTERM)
	case "stubborn": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("stubborn")
		waitFor(syscall.SIGUSR1)
	case "end": // end DURATION LINE...: prints the lines so long after SIGTERM, and ends
		waited := make(chan os.Signal, 1)
		signal.Notify(waited, syscall.SIGTERM) // before the line on which a reader may stop this
		fmt.Println("ready")
		<-waited
		pause, _ := time.ParseDuration(args[0])
		time.Sleep(pause)
		for _, line := range args[1:] {
			fmt.Println(line)
		}
	case "exit": // exit CODE
		code, _ := strconv.Atoi(args[0])
		fmt.Fprintln(os.Stderr, "exiting with", code)
		os.Exit(code)
	case "print": // print LINE..., until SIGTERM
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM) // before the first line, on which a reader may stop this
		for _, line := range args {
			fmt.Println(line)
		}
		<-stop
	case "echo": // echo LINE...
		for _, line := range args {
			fmt.Println(line)
		}
	case "pour": // pour N DURATION: prints N MiB, pauses, and prints a last line
		line := strings.Repeat("0123456789abcdef", 64)[1:] + "\n"
		n, _ := strconv.Atoi(args[0])
		block := strings.Repeat(line, 64)
		for range n * 16 {
			fmt.Print(block)
		}
		pause, _ := time.ParseDuration(args[1])
		time.Sleep(pause)
		fmt.Println("the last line")
	case "shout": // shout DURATION, without a pause between lines
		pause, _ := time.ParseDuration(args[0])
		for end := time.Now().Add(pause); time.Now().Before(end); {
			fmt.Println(strings.Repeat("shout ", 50))
		}
	case "resolve": // resolve NAME: prints its addresses
		addresses, err := net.LookupHost(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(strings.Join(addresses, " "))
	case "get": // get URL: prints the answer
		response, err := (&http.Client{Timeout: 30 * time.Second}).Get(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = io.Copy(os.Stdout, response.Body)
		_ = response.Body.Close()
	case "cat": // cat FILE
		text, err := os.ReadFile(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Print(string(text))
	case "--": // -- COMMAND: runs it, as an init does
		child := exec.Command(args[0], args[1:]...)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		_ = child.Run()
	case "link": // link FILE: prints where it leads
		target, err := os.Readlink(args[0])
		fmt.Println(target, err)
	case "stat": // stat FILE: prints its mode and owner
		info, err := os.Stat(args[0])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		owner := info.Sys().(*syscall.Stat_t)
		fmt.Printf("%04o %d:%d\n", info.Mode().Perm(), owner.Uid, owner.Gid)
	case "write": // write FILE: appends to it
		file, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = file.WriteString("written\n")
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "name": // name: prints what the container calls itself
		name, err := os.Hostname()
		fmt.Println(name, err)
	case "fill": // fill N: uses N MiB of memory, then serves until SIGTERM
		n, _ := strconv.Atoi(args[0])
		memory := make([]byte, n<<20)
		for i := 0; i < len(memory); i += os.Getpagesize() {
			memory[i] = 1
		}
		waitFor(syscall.SIGTERM)
	case "twice": // twice DURATION: sleeps in a process of a session of its own, too
		child := exec.Command(os.Args[0], "sleep", args[0])
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		child.Stdout = os.Stdout
		_ = child.Start()
		pause, _ := time.ParseDuration(args[0])
		time.Sleep(pause)
	case "count": // count N: prints N numbered lines of 100 bytes, until SIGTERM
		n, _ := strconv.Atoi(args[0])
		out := bufio.NewWriterSize(os.Stdout, 10_000)
		for i := range n {
			fmt.Fprintf(out, "%099d\n", i)
		}
		_ = out.Flush()
		waitFor(syscall.SIGTERM)
	case "through": // through: passes its input on to the end, and exits with 7
		n, err := io.Copy(os.Stdout, os.Stdin)
		fmt.Fprint(os.Stderr, n, err)
		os.Exit(7)
	case "await": // await: prints the first signal that it gets, or that its input has ended
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
		fmt.Println("ready")
		if s := <-heard; len(args) > 0 {
			_ = os.WriteFile(args[0], []byte(s.String()), 0o600)
		} else {
			fmt.Println(s)
		}
		os.Exit(40)
	case "window": // window: prints the size of its terminal, and again when it changes
		changed := make(chan os.Signal, 1)
		signal.Notify(changed, syscall.SIGWINCH)
		for {
			size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			fmt.Println(os.Getenv("TERM"), size.Row, size.Col)
			<-changed
		}
	case "sleep": // sleep DURATION
		pause, _ := time.ParseDuration(args[0])
		time.Sleep(pause)
	default:
		fmt.Fprintln(os.Stderr, "unknown verb", verb)
		os.Exit(2)
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }

func waitFor(s os.Signal) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, s)
	<-stop
}
