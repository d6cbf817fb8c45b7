package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressLeast is the length from which on compression is worth it.
const compressLeast = 1 << 10

// The codings of an answer, as headers name them.
const (
	codingGzip = "gzip"
	codingZstd = "zstd"
)

// compressor is a writer of a coding.
type compressor interface {
	Write(data []byte) (int, error)
	Flush() error
	Close() error
	Reset(to io.Writer)
}

// encoder compresses the body of one answer.
type encoder struct {
	compressor
	pool *sync.Pool
}

// encoders are the free encoders, by coding. What they compress is sent at once, so speed
// counts for more than size.
var encoders = map[string]*sync.Pool{
	codingGzip: {New: func() any {
		w, _ := gzip.NewWriterLevel(nil, 5) // it fails only for an unknown level
		return w
	}},
	codingZstd: {New: func() any {
		w, _ := zstd.NewWriter(nil, // it fails only for an option out of range
			zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		return w
	}},
}

// zstdWindow bounds the memory of both sides, in bytes. Clients need not support windows
// over 8 MB (RFC 9659).
const zstdWindow = 256 << 10

// encoder returns what compresses an answer whose route asks for it, and says so in
// its headers; nil if it is sent as it is.
func (e *exchange) encoder(response *http.Response) *encoder {
	h := response.Header
	if !e.turn.route.Compress || !compressible(response) {
		return nil
	}
	if !listed(h["Vary"], "Accept-Encoding") && !listed(h["Vary"], "*") {
		h["Vary"] = append(h["Vary"], "Accept-Encoding")
	}
	coding := accepted(e.in.Header["Accept-Encoding"])
	if e.in.Method == http.MethodHead || coding == "" {
		return nil
	}
	h["Content-Encoding"] = []string{coding}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	delete(h, "Content-Md5")
	delete(h, "Digest")
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag} // the bytes are others, the meaning is the same
	}
	pool := encoders[coding]
	return &encoder{pool.Get().(compressor), pool}
}

func (c *encoder) begin(to *sender) { c.Reset(to) }
func (c *encoder) flush() error     { return c.Flush() }
func (c *encoder) end() error       { return c.Close() }

func (c *encoder) release() {
	c.Reset(nil)
	c.pool.Put(c.compressor)
}

// compressible reports whether an answer may be compressed, and whether that is worth it.
func compressible(r *http.Response) bool {
	h := r.Header
	switch {
	case r.StatusCode < 200, r.StatusCode == http.StatusNoContent, r.StatusCode == http.StatusNotModified,
		r.StatusCode == http.StatusPartialContent, r.StatusCode == http.StatusResetContent,
		h["Content-Encoding"] != nil, h["Content-Range"] != nil,
		r.ContentLength >= 0 && r.ContentLength < compressLeast,
		listed(h["Cache-Control"], "no-transform"):
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "text/event-stream":
		return false
	case "application/json", "application/javascript", "application/xml", "application/wasm", "application/x-javascript",
		"application/x-ndjson", "application/manifest+json", "application/yaml", "image/svg+xml", "image/bmp", "image/x-icon",
		"font/ttf", "font/otf", "application/vnd.ms-fontobject":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// accepted returns the coding that a client prefers, as RFC 9110, section 12.5.3,
// specifies; zstd if it accepts both equally, and "" if it accepts neither. A client that
// accepts any coding without naming it gets gzip, which every client supports.
func accepted(lists []string) string {
	weights := map[string]float64{}
	for _, list := range lists {
		for one := range strings.SplitSeq(list, ",") {
			coding, parameter, _ := strings.Cut(one, ";")
			weight := 1.0
			if q, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameter), " ", ""), "q="); found {
				weight, _ = strconv.ParseFloat(q, 64) // 0 if it is not a number
			}
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding == "x-gzip" {
				coding = codingGzip
			}
			if _, named := weights[coding]; !named {
				weights[coding] = weight
			}
		}
	}
	plain, named := weights[codingGzip]
	if !named {
		plain = weights["*"]
	}
	switch better := weights[codingZstd]; {
	case better > 0 && better >= plain:
		return codingZstd
	case plain > 0:
		return codingGzip
	}
	return ""
}
