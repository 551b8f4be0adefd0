package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// MaxPage is the most rows that one list query returns.
const MaxPage = 500

// Errors of the read queries that a caller branches on, beside ErrNotFound.
var (
	// ErrAmbiguous: several rows' ids end like this.
	ErrAmbiguous = errors.New("several ids end like this: give the whole id")
	// ErrCursor: the cursor was not made by this list.
	ErrCursor = errors.New("the cursor is not one that this list returned")
	// ErrID: the text is no id.
	ErrID = errors.New("an id is a UUID, or its last twelve digits")
)

// querier is the part of a pool or a transaction that a read needs.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Paging is one page of a list, newest first.
type Paging struct {
	// Limit is how many rows at most, 1 to MaxPage; another value counts as MaxPage.
	Limit int
	// Before is the cursor that the page before returned, empty for the first.
	Before string
}

func (p Paging) limit() int {
	if p.Limit < 1 || p.Limit > MaxPage {
		return MaxPage
	}
	return p.Limit
}

// cut drops the row that was read only to see whether there is a next page.
func cut[T any](rows []T, limit int, cursor func(T) string) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, cursor(rows[limit-1])
}

// where collects conditions with their arguments.
type where struct {
	parts []string
	args  []any
}

// add appends a condition in which every ? stands for the next value.
func (w *where) add(condition string, values ...any) {
	w.parts = append(w.parts, w.place(condition, values...))
}

// place gives the values their numbers, for a text that stands elsewhere than in the
// conditions.
func (w *where) place(text string, values ...any) string {
	for _, v := range values {
		w.args = append(w.args, v)
		text = strings.Replace(text, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	return text
}

// text adds column = value, unless the value is empty.
func (w *where) text(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

// id adds a condition for a whole id or its last group, unless it is empty.
func (w *where) id(column, value string) error {
	if value == "" {
		return nil
	}
	condition, v, err := idCondition(column, value)
	if err == nil {
		w.add(condition, v)
	}
	return err
}

func (w *where) String() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.parts, " AND ")
}

var (
	wholeID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	shortID = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// idCondition serves people, who see and paste the last group of an id: in a
// UUIDv7 the first ones are the time, equal for neighbours.
func idCondition(column, value string) (condition, arg string, err error) {
	value = strings.ToLower(value)
	switch {
	case wholeID.MatchString(value):
		return column + " = ?::text::uuid", value, nil
	case shortID.MatchString(value):
		return "right(" + column + "::text, 12) = ?", value, nil
	}
	return "", "", fmt.Errorf("%w, not %.60q", ErrID, value)
}

// cursorOf makes an opaque cursor of a position's parts.
func cursorOf(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\x00")))
}

func parseCursor(cursor string, parts int) ([]string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) > 1024 || !utf8.Valid(b) {
		return nil, ErrCursor
	}
	p := strings.Split(string(b), "\x00")
	if len(p) != parts {
		return nil, ErrCursor
	}
	return p, nil
}

// parseNSCursor reads a position in a list that is ordered by nanoseconds and id.
func parseNSCursor(cursor string) (ns int64, id string, err error) {
	p, err := parseCursor(cursor, 2)
	if err != nil {
		return 0, "", err
	}
	ns, err = strconv.ParseInt(p[0], 10, 64)
	if err != nil || !wholeID.MatchString(p[1]) {
		return 0, "", ErrCursor
	}
	return ns, p[1], nil
}

func nsCursor(ns int64, id string) string { return cursorOf(strconv.FormatInt(ns, 10), id) }

// unixNS is a time as the rows store it; it must be set and within int64's years.
func unixNS(t time.Time) int64 { return t.UnixNano() }
