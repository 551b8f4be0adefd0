package responder

import "strings"

// oneLine is an error on one line: the database's driver puts each address that
// it tried on a line of its own.
type oneLine struct{ error }

func (e oneLine) Error() string {
	return strings.Join(strings.FieldsFunc(strings.ReplaceAll(e.error.Error(), "\n\t", "; "), func(r rune) bool { return r == '\n' }), "; ")
}

// Unwrap returns the error as it was.
func (e oneLine) Unwrap() error { return e.error }
