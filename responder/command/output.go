package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"riposte/responder/command/jsonpath"
)

// forms are the forms of every output, listForms those that a list has beside them.
// jsonpath takes a template: -o jsonpath={.id}.
var (
	forms     = []string{"table", "json", "yaml", "jsonpath="}
	listForms = []string{"wide", "name", "csv"}
)

// printer writes resources in the form that the user chose.
type printer struct {
	form string
	// others are forms that this command alone has.
	others []string
	// template is that of the form jsonpath.
	template *jsonpath.Template
	utc      bool
	colour   bool
	out      io.Writer
	now      func() time.Time
	// columns are the names of the table's that is being written, widths its columns' widths.
	columns []string
	widths  []int
	// streamed counts what a watch has written.
	streamed int
}

func printerFlags(c *cobra.Command, p *printer) {
	p.now = time.Now
	c.Flags().StringVarP(&p.form, "output", "o", "table", "")
	c.Flags().BoolVar(&p.utc, "utc", false, "show times in UTC instead of how long ago")
	p.offer(c)
}

// offer adds forms to those of the flag --output.
func (p *printer) offer(c *cobra.Command, more ...string) {
	p.others = append(p.others, more...)
	all := append(slices.Clone(forms), p.others...)
	c.Flags().Lookup("output").Usage = "form of the output: " + strings.Join(all, ", ")
	if f, ok := c.GetFlagCompletionFunc("output"); !ok || f == nil {
		must(c.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return append(slices.Clone(forms), p.others...), cobra.ShellCompDirectiveNoFileComp
		}))
	}
}

// complete offers fixed values for a flag.
func complete(c *cobra.Command, flag string, values []string) {
	must(c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

func (p *printer) begin(cmd *cobra.Command) error {
	p.out = cmd.OutOrStdout()
	p.colour = coloured(p.out, os.Getenv)
	if text, ok := strings.CutPrefix(p.form, "jsonpath="); ok {
		var err error
		if p.template, err = jsonpath.Parse(text); err != nil {
			return badFlag(fmt.Errorf("--output: jsonpath: %s", visible(err.Error())))
		}
		p.form = "jsonpath"
		return nil
	}
	if (!slices.Contains(forms, p.form) || p.form == "jsonpath=") && !slices.Contains(p.others, p.form) {
		return badFlag(fmt.Errorf("--output: there is no form %q: use %s", p.form, strings.Join(append(slices.Clone(forms), p.others...), ", ")))
	}
	return nil
}

// text says that people read it: a table, or a wide one.
func (p *printer) text() bool { return p.form == "table" || p.form == "wide" }

// cut shortens a cell, unless everything was asked for.
func (p *printer) cut(s string, limit int) string {
	if p.form != "table" {
		return s
	}
	return cut(s, limit)
}

func (p *printer) time(t time.Time) string {
	if p.utc || p.form == "csv" {
		return utc(t)
	}
	return ago(t, p.now())
}

// list writes a whole list: a table with its header, or one JSON or YAML array.
func list[T any](p *printer, header []string, items []T, row func(T) []string) error {
	if !p.text() && p.form != "csv" {
		return p.value(items)
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	if p.form == "csv" {
		return writeCSV(p.out, header, rows)
	}
	return p.table(header, rows)
}

func writeCSV(out io.Writer, header []string, rows [][]string) error {
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.ReplaceAll(strings.ToLower(h), " ", "_")
	}
	t, err := newTable(out, names...)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := t.row(row...); err != nil {
			return err
		}
	}
	return t.end()
}

// one writes an item of a stream: a row, a line of JSON, or a YAML document.
func one[T any](p *printer, item T, row func(T) []string) error {
	p.streamed++
	switch p.form {
	case "table", "wide":
		return p.rows([][]string{row(item)})
	case "jsonpath":
		if err := p.value(item); err != nil {
			return err
		}
		_, err := io.WriteString(p.out, "\n")
		return err
	case "yaml":
		if p.streamed > 1 {
			if _, err := io.WriteString(p.out, "---\n"); err != nil {
				return err
			}
		}
		return p.value(item)
	}
	b, err := json.Marshal(item)
	if err != nil {
		return err
	}
	_, err = p.out.Write(append(plainJSON(b), '\n'))
	return err
}

// value writes anything as JSON or YAML, or what the template makes of it.
func (p *printer) value(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	if p.form == "jsonpath" {
		if err := p.template.Execute(p.out, b.Bytes(), visible); err != nil {
			return badFlag(fmt.Errorf("--output: %s", visible(err.Error())))
		}
		return nil
	}
	out := plainJSON(b.Bytes())
	if p.form == "yaml" {
		var err error
		if out, err = toYAML(out); err != nil {
			return err
		}
	}
	_, err := p.out.Write(out)
	return err
}

// plainJSON writes hidden characters, which can only stand inside strings, as
// escapes. The value is the same.
func plainJSON(b []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(b) {
		switch {
		case r == '\n' || !hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

func toYAML(b []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	enc := yaml.NewEncoder(&raw)
	enc.SetIndent(2)
	if err := enc.Encode(node(v)); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range raw.String() {
		switch {
		case r == '\n' || !hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08X`, r)
		default: // node has put these between double quotes, where this is an escape
			fmt.Fprintf(&out, `\u%04X`, r)
		}
	}
	return out.Bytes(), nil
}

// node turns decoded JSON into YAML's tree, with texts that need escapes quoted.
func node(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			n.Content = append(n.Content, node(k), node(v[k]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, node(item))
		}
		return n
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		if strings.ContainsFunc(v, hidden) {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// table writes a header and rows, and keeps the widths for rows that follow.
func (p *printer) table(header []string, rows [][]string) error {
	all := append([][]string{header}, rows...)
	p.columns, p.widths = header, make([]int, len(header))
	for _, row := range all {
		for i, cell := range row {
			p.widths[i] = max(p.widths[i], utf8.RuneCountInString(visible(cell)))
		}
	}
	return p.rows(all)
}

// colourAt is a cell's. Without columns a row is a name and its value.
func (p *printer) colourAt(row []string, i int) string {
	switch {
	case i < len(p.columns):
		return colourOf(p.columns[i], row[i])
	case p.columns == nil && i == 1:
		return colourOf(strings.ToUpper(row[0]), row[i])
	}
	return plain
}

func (p *printer) rows(rows [][]string) error {
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			cell = visible(cell)
			line.WriteString(p.paint(p.colourAt(row, i), cell))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", max(0, p.widths[i]-utf8.RuneCountInString(cell))+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}
