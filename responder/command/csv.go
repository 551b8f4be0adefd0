package command

import (
	"encoding/csv"
	"io"
	"strings"
)

// table writes comma-separated values (RFC 4180) for a spreadsheet.
type table struct{ w *csv.Writer }

func newTable(out io.Writer, header ...string) (*table, error) {
	t := &table{csv.NewWriter(out)}
	t.w.UseCRLF = true
	return t, t.w.Write(header)
}

func (t *table) row(cells ...string) error {
	for i, c := range cells {
		cells[i] = harmless(c)
	}
	return t.w.Write(cells)
}

func (t *table) end() error {
	t.w.Flush()
	return t.w.Error()
}

// harmless keeps a spreadsheet from taking a cell for a formula: what attackers have
// named must not be calculated. An apostrophe before it says that it is text. Hidden
// characters are shown as escapes.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		cell = "'" + cell
	}
	return visible(cell)
}
