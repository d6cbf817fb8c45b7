package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/metacircular/mcp/edge/proxy"
)

// twice runs a test with a client of HTTP/1.1 and one of HTTP/2, at a front that serves
// shop.example with TLS from one container.
func twice(t *testing.T, o proxy.Options, container http.HandlerFunc, test func(t *testing.T, transport *http.Transport, url string)) {
	f := newFront(t, o)
	f.publish("shop", secure("shop.example", "", upstream(t, container)))
	address := f.listenTLS(443)
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) { test(t, client(t, "shop.example", http2), "https://"+address) })
	}
}

// request returns a request to shop.example.
func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(within(t), method, url, body)
	require.NoError(t, err)
	r.Host = "shop.example"
	return r
}

func TestEventsArriveAsTheyAreSent(t *testing.T) {
	events := []string{"one\n\n", "two\n\n", "3\n"}
	for _, length := range []string{"", "12"} {
		for _, http2 := range []bool{false, true} {
			next := make(chan string)
			f := newFront(t, proxy.Options{})
			r := secure("shop.example", "", upstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_ = http.NewResponseController(w).Flush()
				for event := range next {
					_, _ = io.WriteString(w, event)
					_ = http.NewResponseController(w).Flush()
				}
			}))
			r.Compress = true
			f.publish("shop", r)
			in := request(t, "GET", "https://"+f.listenTLS(443), nil)
			in.Header.Set("Accept-Encoding", "gzip")
			response, err := client(t, "shop.example", http2).RoundTrip(in)
			require.NoError(t, err, "the headers arrive before the first event")
			require.Empty(t, response.Header.Get("Content-Encoding"))
			for _, event := range events {
				next <- event
				got := make([]byte, len(event))
				_, err := io.ReadFull(response.Body, got)
				require.NoError(t, err)
				require.Equal(t, event, string(got))
			}
			close(next)
			_, err = response.Body.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			response.Body.Close()
		}
	}
}

func TestALargeUploadIsNotBuffered(t *testing.T) {
	const size = 64 << 20
	arrived := make(chan int, 1)
	twice(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 1<<10)
		n, _ := io.ReadFull(r.Body, first)
		arrived <- n
		sum := sha256.New()
		sum.Write(first[:n])
		_, _ = io.Copy(sum, r.Body)
		_, _ = io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
	}, func(t *testing.T, transport *http.Transport, url string) {
		body, writer := io.Pipe()
		sum := sha256.New()
		go func() {
			to := io.MultiWriter(writer, sum)
			_, _ = to.Write(pattern(1 << 10))
			<-arrived // the container has the beginning while the rest was not sent
			for range size >> 20 {
				_, _ = to.Write(pattern(1 << 20))
			}
			_ = writer.Close()
		}()
		response, err := transport.RoundTrip(request(t, "PUT", url, body))
		require.NoError(t, err)
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(sum.Sum(nil)), string(got))
	})
}

func TestALargeDownloadArrivesWhole(t *testing.T) {
	data := pattern(16<<20 + 17)
	twice(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "16777233")
		}
		_, _ = w.Write(data)
	}, func(t *testing.T, transport *http.Transport, url string) {
		for _, path := range []string{"/length", "/chunks"} {
			response, err := transport.RoundTrip(request(t, "GET", url+path, nil))
			require.NoError(t, err)
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			response.Body.Close()
			require.True(t, bytes.Equal(data, got), "%d bytes", len(got))
		}
	})
}

func TestAnAnswerThatBreaksOffDoesNotEndWell(t *testing.T) {
	twice(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100000")
		}
		_, _ = w.Write(pattern(50000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, func(t *testing.T, transport *http.Transport, url string) {
		for _, path := range []string{"/length", "/chunks"} {
			response, err := transport.RoundTrip(request(t, "GET", url+path, nil))
			require.NoError(t, err)
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
			require.Error(t, err)
		}
	})
}

func TestAnEarlyAnswerDoesNotWaitForTheUpload(t *testing.T) {
	twice(t, proxy.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}, func(t *testing.T, transport *http.Transport, url string) {
		body, writer := io.Pipe()
		defer writer.Close()
		go func() { _, _ = writer.Write(pattern(1 << 10)) }() // and nothing after it
		response, err := transport.RoundTrip(request(t, "POST", url, body))
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
	})
}

func TestExpectContinue(t *testing.T) {
	f := newFront(t, proxy.Options{})
	f.publish("shop", plain("shop.example", "", upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})))
	address := f.listen(80)
	head := "PUT %s HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

	c := dial(t, address)
	_, err := io.WriteString(c, strings.Replace(head, "%s", "/refuse", 1))
	require.NoError(t, err)
	response, _ := answer(t, bufio.NewReader(c))
	require.Equal(t, http.StatusUnauthorized, response.StatusCode, "without a 100 before it")

	c = dial(t, address)
	_, err = io.WriteString(c, strings.Replace(head, "%s", "/", 1))
	require.NoError(t, err)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, _ = r.ReadString('\n')
	_, err = io.WriteString(c, "hello")
	require.NoError(t, err)
	_, body := answer(t, r)
	require.Equal(t, "hello", body)
}

func TestEarlyHintsArePassedOn(t *testing.T) {
	twice(t, proxy.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "page")
	}, func(t *testing.T, transport *http.Transport, url string) {
		var hint string
		r := request(t, "GET", url, nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				require.Equal(t, http.StatusEarlyHints, code)
				hint = header.Get("Link")
				return nil
			},
		}))
		response, err := transport.RoundTrip(r)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, "</a.css>; rel=preload", hint)
		require.Empty(t, response.Header.Get("Link"))
	})
}

func TestTrailersPassBothWays(t *testing.T) {
	twice(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Sum")+" "+r.Trailer.Get("X-Forwarded-For"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	}, func(t *testing.T, transport *http.Transport, url string) {
		r := request(t, "POST", url, io.MultiReader(strings.NewReader("hello")))
		r.Trailer = http.Header{"X-Sum": {"5"}, "X-Forwarded-For": {"198.51.100.1"}}
		response, err := transport.RoundTrip(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, "hello", string(body))
		require.Equal(t, http.Header{"X-Sum": {"5"}, "X-Late": {"late"}}, response.Trailer)
	})
}

func TestASlowClientIsWaitedForOnlyWhileItMoves(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	container := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		var err error
		if r.Method == http.MethodPost {
			_, err = io.Copy(io.Discard, r.Body)
		} else {
			for err == nil {
				_, err = w.Write(pattern(1 << 20))
			}
		}
		ended <- err
	})
	open := func(idle time.Duration, head string) net.Conn {
		f := newFront(t, proxy.Options{ClientIdle: idle})
		f.publish("shop", plain("shop.example", "", container))
		c := dial(t, f.listen(80))
		require.NoError(t, c.SetReadBuffer(4<<10))
		_, err := io.WriteString(c, head)
		require.NoError(t, err)
		return c
	}
	c := open(100*time.Millisecond, "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100\r\n\r\nhello")
	response, body := answer(t, bufio.NewReader(c))
	require.Equal(t, http.StatusRequestTimeout, response.StatusCode, body)
	require.Error(t, receive(t, ended), "the container's connection is closed, too")

	c = open(100*time.Millisecond, "POST / HTTP/1.1\r\nHost: other.example\r\nContent-Length: 100\r\n\r\nhello")
	answered, err := io.ReadAll(c) // up to the end of the connection
	require.NoError(t, err)
	require.NotContains(t, string(answered), "HTTP/1.1 2", "nor is a body that is not wanted waited for")

	open(100*time.Millisecond, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
	require.Error(t, receive(t, ended), "a client that takes nothing is cut")

	// One that moves is served, however long that takes.
	c = open(3*time.Second, "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 8\r\n\r\n")
	for range 8 {
		<-time.After(time.Second / 2)
		_, err := io.WriteString(c, "x")
		require.NoError(t, err)
	}
	response, _ = answer(t, bufio.NewReader(c))
	require.Equal(t, 200, response.StatusCode)
	require.NoError(t, receive(t, ended))
}

func TestAStreamWhoseClientTakesNothingIsCut(t *testing.T) {
	f := newFront(t, proxy.Options{ClientIdle: 100 * time.Millisecond})
	ended := make(chan error, 1)
	f.publish("shop", secure("shop.example", "", upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(pattern(1 << 20))
		}
		ended <- err
	})))
	response, err := client(t, "shop.example", true).RoundTrip(request(t, "GET", "https://"+f.listenTLS(443), nil))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, 2, response.ProtoMajor)
	require.Error(t, receive(t, ended))
}

// echo is a gRPC service with one method of each kind.
var echo = grpc.ServiceDesc{
	ServiceName: "test.Echo", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Once",
		Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := &wrapperspb.StringValue{}
			if err := decode(in); err != nil {
				return nil, err
			}
			if in.Value == "fail" {
				return nil, status.Error(codes.FailedPrecondition, "as asked")
			}
			_ = grpc.SetTrailer(ctx, metadata.Pairs("x-sum", "5"))
			return in, nil
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Stream", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			for {
				in := &wrapperspb.StringValue{}
				if err := stream.RecvMsg(in); errors.Is(err, io.EOF) {
					return status.Error(codes.Aborted, "the end")
				} else if err != nil {
					return err
				}
				if err := stream.SendMsg(in); err != nil {
					return err
				}
			}
		},
	}},
}

func TestGRPC(t *testing.T) {
	server := grpc.NewServer()
	server.RegisterService(&echo, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()

	f := newFront(t, proxy.Options{})
	r := secure("shop.example", "", l.Addr().String())
	r.H2C = true
	f.publish("shop", r)
	c, err := grpc.NewClient(f.listenTLS(443), grpc.WithAuthority("shop.example"),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, ServerName: "shop.example"})))
	require.NoError(t, err)
	defer c.Close()

	var trailer metadata.MD
	out := &wrapperspb.StringValue{}
	require.NoError(t, c.Invoke(within(t), "/test.Echo/Once", wrapperspb.String("hello"), out, grpc.Trailer(&trailer)))
	require.Equal(t, "hello", out.Value)
	require.Equal(t, []string{"5"}, trailer.Get("x-sum"))
	err = c.Invoke(within(t), "/test.Echo/Once", wrapperspb.String("fail"), out)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "as asked")

	stream, err := c.NewStream(within(t), &echo.Streams[0], "/test.Echo/Stream")
	require.NoError(t, err)
	for _, word := range []string{"one", "two", "three"} {
		require.NoError(t, stream.SendMsg(wrapperspb.String(word)))
		require.NoError(t, stream.RecvMsg(out))
		require.Equal(t, word, out.Value)
	}
	require.Equal(t, map[string]int{l.Addr().String(): 1}, f.Active())
	require.NoError(t, stream.CloseSend())
	require.Equal(t, codes.Aborted, status.Code(stream.RecvMsg(out)))

	f.publish("shop")
	require.Equal(t, codes.Unimplemented, status.Code(c.Invoke(within(t), "/test.Echo/Once", wrapperspb.String("hello"), out)))
}
