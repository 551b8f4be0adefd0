package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"riposte/docs/doctest"
	"riposte/responder/store/storetest"
)

// The drill of the page: back up, go on, restore, be told, and go on from there. The
// chart's values and helm's commands are deploy/helm/test's.
func TestProductionPage(t *testing.T) {
	p := doctest.Open(t, "docs/production.md", "sh", "conf", "console")
	t.Run("nats", func(t *testing.T) {
		d := newDesk(t)
		_, says, err := d.shell(t, certificate+" && riposte keys make --dir .")
		require.NoError(t, err, says)
		d.here = append(d.here, "/etc/nats/", d.dir+"/")
		d.write(t, "nats.conf", d.translate(p.In(t, "High availability", "conf").Text))
		o, err := server.ProcessConfigFile(d.path("nats.conf"))
		require.NoError(t, err)
		require.True(t, o.SyncAlways)
		require.Len(t, o.Routes, 3)
	})
	t.Run("restore", func(t *testing.T) { restore(t, p) })
	t.Run("keys", func(t *testing.T) { changeKey(t, p) })
	// The chart's commands: deploy/helm/test looks at them.
	for _, b := range append(p.AllIn(t, "Upgrade", "sh"), p.AllIn(t, "Keys", "sh")[0]) {
		for _, c := range b.Commands() {
			require.Regexp(t, "^(helm|kubectl) ", c.Line, b.Name())
		}
	}
}

// service is the file by which PostgreSQL's programs know a database by a name.
func (i *installation) service(t *testing.T, databases map[string]string) {
	t.Helper()
	var text strings.Builder
	for name, url := range databases {
		m := regexp.MustCompile(`^postgres:///(\w+)\?host=([^&]+)&user=(\w+)`).FindStringSubmatch(url)
		require.NotNil(t, m, url)
		fmt.Fprintf(&text, "[%s]\nhost=%s\nuser=%s\ndbname=%s\n", name, m[2], m[3], m[1])
	}
	i.write(t, ".pg_service.conf", text.String())
	i.env = append(i.env, "PGSERVICEFILE="+i.path(".pg_service.conf"))
}

func restore(t *testing.T, p *doctest.Page) {
	i := intakeOf(t, "prod")
	restored := storetest.Empty(t)
	i.service(t, map[string]string{"riposte": i.database, "riposte_restored": restored})
	i.write(t, "restored.url", restored)
	_, says, err := i.shell(t, "cp keys/checkpoint.pub checkpoint.pub")
	require.NoError(t, err, says)
	command := "riposte responder --checkpoint-key keys/checkpoint.key --checkpoint-file checkpoints.jsonl --checkpoint-within 1s" + i.flags() + i.intake
	first := i.respond(t, command)
	post := func(n string) {
		t.Helper()
		out, says, err := i.shell(t, "curl -sS --fail-with-body -H 'Authorization: Bearer "+falcoToken+"' -d @- http://"+i.address+"/falco <<'END'\n"+strings.Replace(alert, "sh -i", "sh -i "+n, 1)+"\nEND\n")
		require.NoError(t, err, "%s%s", out, says)
	}
	post("before the backup")
	i.signed(t, 0)
	i.run(t, p.In(t, "Backup", "sh"))
	before := i.signed(t, 0)
	for n := range 12 { // more than a responder writes by its start
		post(fmt.Sprint("after the backup, ", n))
	}
	before = i.signed(t, before)
	post("still before the restore")
	i.signed(t, before)
	first.stop(t)

	i.run(t, p.In(t, "Restore", "sh"))
	i.write(t, "database", restored)
	second := i.respond(t, command)
	told := p.In(t, "Restore", "console").Commands()
	require.Len(t, told, 3)
	for _, c := range told {
		out, says, err := i.shell(t, c.Line)
		if c.Output != "" {
			require.Error(t, err, "a cut tail is no good record: %s", out)
			// As the page says: a record that has grown past the number is told so.
			said := strings.Replace(shape(out), "it is not the entry that was signed at N: the chain was written anew from some entry after N", "the tail is missing: entry N was signed at N", 1)
			require.Equal(t, shape(c.Output), said, c.Line)
		} else {
			require.NoError(t, err, says)
		}
	}
	second.log.Await(t, "the record is not the one that was signed")
	second.stop(t)

	require.NoError(t, i.asOperator(t).DeleteStream("AUDIT"))
	_, says, err = i.shell(t, "mv checkpoints.jsonl checkpoints.before-the-restore.jsonl")
	require.NoError(t, err, says)
	i.respond(t, command)
	post("after the restore")
	i.signed(t, 0)
	out, says, err := i.shell(t, "riposte audit verify")
	require.NoError(t, err, "%s%s", out, says)
}

var changing = regexp.MustCompile(`\d{4}-[0-9T:.-]+Z|\b[0-9a-f]{12,64}\b|\d+`)

// shape leaves out times, hashes and numbers, and so how wide columns are.
func shape(s string) string {
	return blanks.ReplaceAllString(changing.ReplaceAllString(ends.ReplaceAllString(strings.TrimSpace(s), ""), "N"), " ")
}

// signed waits until the file of checkpoints has more than some bytes, and returns how
// many it has.
func (i *installation) signed(t *testing.T, than int64) int64 {
	t.Helper()
	var size int64
	require.Eventually(t, func() bool {
		info, err := os.Stat(i.path("checkpoints.jsonl"))
		if err == nil {
			size = info.Size()
		}
		return size > than
	}, patience, poll)
	return size
}

// changeKey hands the checkpoints over to a new key; the record is verified with the
// first one's public half.
func changeKey(t *testing.T, p *doctest.Page) {
	i := install(t)
	sh := p.AllIn(t, "Keys", "sh")
	require.Len(t, sh, 2)
	commands := sh[1].Commands()
	require.Len(t, commands, 3)
	_, says, err := i.shell(t, "cp keys/checkpoint.pub first.pub")
	require.NoError(t, err, says)
	first := i.respond(t, "riposte responder --checkpoint-key keys/checkpoint.key --checkpoint-file checkpoints.jsonl --checkpoint-within 1s"+i.flags())
	before := i.signed(t, 0)
	first.stop(t)
	for _, c := range commands[:2] {
		_, says, err := i.shell(t, c.Line)
		require.NoError(t, err, "%s: %s", c.Line, says)
	}
	i.here = append(i.here, " …", i.flags()+" --checkpoint-file checkpoints.jsonl --checkpoint-within 1s")
	i.respond(t, commands[2].Line)
	_, says, err = i.shell(t, "riposte killswitch on --reason drill 2>/dev/null || riposte tokens create someone --role viewer --expires 1d >/dev/null")
	require.NoError(t, err, says)
	i.signed(t, before)
	out, says, err := i.shell(t, "riposte audit export > record.jsonl && riposte audit verify --file record.jsonl --key first.pub")
	require.NoError(t, err, "%s%s", out, says)
}

// Each alert of the chart has a line that says what to do.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(doctest.Root(), "deploy/helm/riposte/files/alerts.yaml"))
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert string }
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &file))
	page := mustRead(t, "docs/production.md").Text
	lines := regexp.MustCompile("(?m)^\\| `(Riposte\\w+)` \\|").FindAllStringSubmatch(page, -1)
	var named, there []string
	for _, m := range lines {
		named = append(named, m[1])
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			there = append(there, r.Alert)
		}
	}
	require.ElementsMatch(t, there, named)
}
