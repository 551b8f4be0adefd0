package server

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// noncePlaceholder in index.html becomes a nonce, new in each answer: the
// console's style library writes a style element and must name it.
const noncePlaceholder = "__CSP_NONCE__"

// consoleTypes are the only kinds of files that are served.
var consoleTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".ico":         "image/x-icon",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".txt":         "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json",
	".woff2":       "font/woff2",
}

// console serves the console's files. They are open: whoever loads the page has
// seen no data yet.
type console struct{ files fs.FS }

func newConsole(files fs.FS) console { return console{files} }

func (c console) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "there is nothing to change here; the API is under /api/v1", http.StatusMethodNotAllowed)
		return
	}
	if c.files == nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "This is riposte's API. It was built without the console.\n")
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" || path.Ext(name) == "" {
		name = "index.html" // the console's own routes have no extension
	}
	kind, allowed := consoleTypes[path.Ext(name)]
	b, err := fs.ReadFile(c.files, name)
	if !allowed || errors.Is(err, fs.ErrNotExist) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "the console's files cannot be read", http.StatusInternalServerError)
		return
	}
	nonce := rand.Text()
	if strings.HasSuffix(name, ".html") {
		b = bytes.ReplaceAll(b, []byte(noncePlaceholder), []byte(nonce))
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+
		"'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // their names hold a hash of what is in them
	}
	_, _ = w.Write(b)
}
