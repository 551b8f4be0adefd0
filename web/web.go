// Package web is the console: built by Vite into dist, which is embedded but not
// committed. A binary that was built without it serves a page that says so.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist placeholder
var files embed.FS

// FS is the built console, or the placeholder where it was not built.
func FS() fs.FS {
	folder := "dist"
	if _, err := fs.Stat(files, "dist/index.html"); err != nil {
		folder = "placeholder"
	}
	site, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // the folder's name is a constant above
	}
	return site
}
