package replay

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the report as a comment for a pull request. Exceeded are the bounds
// that it is beyond.
func (r *Report) Markdown(w io.Writer, exceeded []string, show func(string) string) error {
	p := &page{show: func(s string) string { return cell(show(s)) }}
	verdict := "**within its bounds**"
	if len(exceeded) > 0 {
		verdict = "**beyond its bounds** (" + strings.Join(exceeded, "; ") + ")"
	}
	fmt.Fprintf(&p.b, "## Replay of the playbooks: %s\n\n", verdict)
	p.line("%s", r.headline())
	for _, n := range r.remarks() {
		p.line("\n%s", n)
	}
	if len(r.Playbooks) > 0 {
		p.line("\n| playbook | decisions | added | removed | changed | mode | revision |\n| --- | ---: | ---: | ---: | ---: | --- | --- |")
		for _, b := range r.Playbooks {
			p.line("| %s | %d | %d | %d | %d | %s | %s |", b.Name, b.Decisions, b.Added, b.Removed, b.Changed, b.modes(), b.revisions())
		}
	}
	p.line("\n| what comes of it | before | after |\n| --- | ---: | ---: |")
	for _, row := range r.rows() {
		p.line("| %s | %s | %s |", row.name, row.before, row.after)
	}
	p.fold("Limits that would be reached", len(r.After.Limits), len(r.After.Limits), func(i int) string { return r.After.Limits[i].String() })
	p.fold("Pods that would be deleted", len(r.After.Pods), r.After.PodsDeleted, func(i int) string { return r.After.Pods[i].String() })
	p.fold("Differences", len(r.Changes), len(r.Changes)+int(r.Untold), func(i int) string { return r.Changes[i].String() })
	_, err := io.WriteString(w, p.b.String())
	return err
}

// fold writes a list that is opened by a click.
func (p *page) fold(title string, n, all int, item func(int) string) {
	if n == 0 {
		return
	}
	p.line("\n<details><summary>%s: %d</summary>\n", title, all)
	for i := range min(n, maxShown) {
		p.line("- %s", item(i))
	}
	if all > maxShown {
		p.line("- … and %d more", all-maxShown)
	}
	p.line("\n</details>")
}

// cell keeps a text that an attacker may have written from being Markdown or HTML, or
// from naming somebody or another issue.
func cell(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r':
			b.WriteByte(' ')
		case strings.ContainsRune("&<>", r):
			fmt.Fprintf(&b, "&#%d;", r)
		case strings.ContainsRune("\\`*_{}[]()#|~!", r):
			b.WriteString("\\" + string(r))
		case r == '@':
			b.WriteString("@\u2060")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
