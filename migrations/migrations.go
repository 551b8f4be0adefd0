// Package migrations holds the database's schema as goose migrations.
package migrations

import "embed"

// FS holds the migrations, 00001_*.sql and on.
//
//go:embed *.sql
var FS embed.FS
