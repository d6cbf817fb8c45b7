// Command app is the service of the end-to-end tests. MODE selects its behaviour:
// "serve" answers with its version on $PORT, "late" does so after eight seconds, "exit"
// prints twelve lines and exits with code 3, "deaf" runs and never listens, "asks"
// requests the URL in ASK again and again, over new connections and over kept ones, and
// answers with the versions that have answered it, or else with what has failed. DATA names
// a directory that it locks while it runs, LAST what it prints last. A request with
// ?say=LINE prints the line, one with ?print=MEGABYTES&word=WORD prints that much, with the
// word in each kilobyte. The header First-Answer is the time of the first answer, in
// nanoseconds since 1970.
//
// With arguments it is a step of a build: "sleep DURATION"; "print MEGABYTES CODE", which
// prints that much in lines and exits with the code; "stream", which does so in one
// line; "say LINE CODE"; or "hash FILE HEX", which fails unless the file has that SHA-256.
// As a step of a deployment it is "migrate VERSION DURATION CODE", which needs a container
// that holds the lock of DATA, notes the version in the file migrations there, and exits
// with the code after that time; as a job it is "note WORD DURATION CODE", which does the
// same and needs no other container.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 {
		os.Exit(step(os.Args[1], os.Args[2:]))
	}
	if dir := os.Getenv("DATA"); dir != "" {
		own(dir)
	}
	switch os.Getenv("MODE") {
	case "exit":
		for i := range 12 {
			fmt.Println("line", i+1)
		}
		os.Exit(3)
	case "deaf":
		fmt.Println("not listening")
		<-ctx.Done()
	case "asks":
		asks(ctx, os.Getenv("ASK"))
	case "late":
		time.Sleep(8 * time.Second)
		serve(ctx)
	default:
		serve(ctx)
	}
}

// serve answers until SIGTERM, and then finishes the requests that it has begun.
func serve(ctx context.Context) {
	var first atomic.Int64
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if line := r.URL.Query().Get("say"); line != "" {
			fmt.Println(line)
		}
		if megabytes, err := strconv.Atoi(r.URL.Query().Get("print")); err == nil {
			printWord(megabytes, r.URL.Query().Get("word"))
		}
		first.CompareAndSwap(0, time.Now().UnixNano())
		w.Header().Set("First-Answer", fmt.Sprint(first.Load()))
		fmt.Fprint(w, os.Getenv("VERSION"))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	fmt.Println("listening on", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	<-done
	if last := os.Getenv("LAST"); last != "" {
		fmt.Println(last)
	}
}

// printWord prints lines of a kilobyte that begin with a word.
func printWord(megabytes int, word string) {
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	for range megabytes << 10 {
		fmt.Fprintf(out, "%s%s\n", word, strings.Repeat("x", 1023-len(word)))
	}
	_ = out.Flush()
}

// asks requests a URL until SIGTERM.
func asks(ctx context.Context, url string) {
	var mu sync.Mutex
	versions, failures := map[string]int{}, []string(nil)
	for _, fresh := range []bool{true, true, false} {
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: fresh}}
		go func() {
			for ctx.Err() == nil {
				began, stages := time.Now(), new(stages)
				version, err := request(httptrace.WithClientTrace(context.Background(), stages.trace()), client, url)
				mu.Lock()
				if err == nil {
					versions[version]++
				} else {
					failures = append(failures, fmt.Sprintf("%s, begun %s ago: %v: %v", time.Now().Format(time.TimeOnly), time.Since(began), err, stages))
				}
				mu.Unlock()
				time.Sleep(20 * time.Millisecond) // leave the processors to what is tested
			}
		}()
	}
	report := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if len(failures) > 0 {
			fmt.Fprintf(w, "%d failures among %v: %s", len(failures), versions, strings.Join(failures, "; "))
			return
		}
		fmt.Fprint(w, versions)
	})
	go func() { _ = http.ListenAndServe(":"+os.Getenv("PORT"), report) }()
	<-ctx.Done()
}

// stages are what a request has done, with the time of each stage.
type stages struct {
	mu   sync.Mutex
	done []string
}

func (s *stages) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (s *stages) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.done, ", ")
}

func (s *stages) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:     func(i httptrace.DNSStartInfo) { s.add("resolve %s", i.Host) },
		DNSDone:      func(i httptrace.DNSDoneInfo) { s.add("resolved: %v %v", i.Addrs, i.Err) },
		ConnectStart: func(_, address string) { s.add("connect to %s", address) },
		ConnectDone:  func(_, _ string, err error) { s.add("connected: %v", err) },
		GotConn:      func(c httptrace.GotConnInfo) { s.add("use %s, reused %t", c.Conn.RemoteAddr(), c.Reused) },
		WroteRequest: func(r httptrace.WroteRequestInfo) { s.add("wrote: %v", r.Err) },
	}
}

func request(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// step runs a step of a build, and returns its exit code.
func step(verb string, args []string) int {
	switch verb {
	case "sleep":
		pause, _ := time.ParseDuration(args[0])
		time.Sleep(pause)
		return 0
	case "resolve":
		addresses, err := net.LookupHost(args[0])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(strings.Join(addresses, " "))
		return 0
	case "hash": // of a file, which is given as hexadecimal digits
		text, err := os.ReadFile(args[0])
		if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != args[1] {
			fmt.Println(args[0], "has", len(text), "other bytes", err)
			return 1
		}
		return 0
	case "env":
		fmt.Println(os.Getenv(args[0]))
		return 0
	case "migrate":
		return migrate(os.Getenv("DATA"), args)
	case "note":
		return note(os.Getenv("DATA"), args)
	case "through":
		_, _ = io.Copy(os.Stdout, os.Stdin)
		return 7
	case "hear":
		fmt.Println("speak")
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Println("heard", strings.ToUpper(strings.TrimSpace(line)))
		return 0
	case "say":
		fmt.Println(args[0])
		code, _ := strconv.Atoi(args[1])
		return code
	case "print", "stream":
		end := map[string]string{"print": "\n", "stream": " "}[verb]
		megabytes, _ := strconv.Atoi(args[0])
		code, _ := strconv.Atoi(args[1])
		out := bufio.NewWriterSize(os.Stdout, 64<<10)
		for i := range megabytes << 10 {
			fmt.Fprintf(out, "%07d %s%s", i, strings.Repeat("x", 1024-9), end) // a kilobyte
		}
		_ = out.Flush()
		return code
	}
	return 2
}

// own locks the directory until this process ends. If another container holds the lock,
// it records that in a file that stays: overlap.
func own(dir string) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		_ = os.WriteFile(filepath.Join(dir, "overlap"), []byte(err.Error()), 0o600)
		fmt.Println("own", dir, err)
		os.Exit(1)
	}
}

// migrate notes that a version was migrated to. That needs the database, which holds the
// lock of the directory.
func migrate(dir string, args []string) int {
	if lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0o600); err != nil || syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		fmt.Println("there is no database", err)
		return 9
	}
	return note(dir, args)
}

// note adds a word to the file migrations of a directory, and exits a while later. No
// other one may do so meanwhile: overlap records one.
func note(dir string, args []string) int {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	pause, _ := time.ParseDuration(args[1])
	code, _ := strconv.Atoi(args[2])
	alone, err := os.OpenFile(filepath.Join(dir, "migrating"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(alone.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		_ = os.WriteFile(filepath.Join(dir, "overlap"), []byte(err.Error()), 0o600)
		return 8
	}
	migrations, err := os.OpenFile(filepath.Join(dir, "migrations"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(migrations, args[0])
	}
	fmt.Println("migrating to", args[0], err)
	select {
	case <-time.After(pause):
		fmt.Println("migrated to", args[0])
		return code
	case <-ended:
		fmt.Println("interrupted")
		return 7
	}
}
