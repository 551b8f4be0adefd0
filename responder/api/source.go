package api

import "embed"

// Source is this package's resources as they are written: their comments are the
// descriptions in the API's document.
//
//go:embed *.go
var Source embed.FS
