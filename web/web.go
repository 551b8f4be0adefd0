// Package web is the console: built by Vite into dist, which is embedded but not
// committed. A binary that was built without it serves a page that says so.
package web

import (
	"crypto/rand"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist placeholder
var files embed.FS

// contentTypes are the only kinds of file that are served: whatever else lands
// in dist stays inside.
var contentTypes = map[string]string{
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

// Handler serves the console. It holds no data, so it needs no sign-in: the
// page asks the API, which does.
func Handler() http.Handler {
	if site, err := fs.Sub(files, "dist"); err == nil {
		if _, err := fs.Stat(site, "index.html"); err == nil {
			return handler(site)
		}
	}
	site, err := fs.Sub(files, "placeholder")
	if err != nil {
		panic(err) // embedded: it cannot be missing
	}
	return handler(site)
}

// handler serves one built site. Files with a hash in their name never change;
// the page that names them is never kept.
func handler(site fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if name == "" {
			name = "index.html"
		}
		kind, served := contentTypes[path.Ext(name)]
		text, err := fs.ReadFile(site, name)
		if err != nil || !served {
			http.NotFound(w, r)
			return
		}
		nonce := rand.Text()
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", policy(nonce))
		if strings.HasPrefix(name, "assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-store")
		}
		if name == "index.html" {
			text = []byte(strings.ReplaceAll(string(text), "{{nonce}}", nonce))
		}
		_, _ = w.Write(text)
	})
}

// policy lets the page load from here alone. The nonce is for the one style
// tag that Mantine writes.
func policy(nonce string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" + nonce + "'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
