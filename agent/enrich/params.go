package enrich

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"riposte/agent/event"
)

// controllers are those that Falco asks for a process's cgroup, in its order and under
// their names in v2. Who has none of them in v2 has them in v1.
var controllers = []string{"cpuset", "cpu", "cpuacct", "io", "memory"}

// offered says which controllers of cgroup v2 this host has.
func offered(root string) map[string]bool {
	here := map[string]bool{}
	b, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return here
	}
	for c := range strings.FieldsSeq(string(b)) {
		here[c] = true
	}
	return here
}

// complete adds the parameters of execs and forks that the process table knows and the
// kernel's side does not send. They are made when a rule or an output asks for one.
func (t *Table) complete(e *event.Event) {
	switch e.Type {
	case event.Clone, event.Clone3, event.ForkCall, event.Vfork:
		if p := e.Proc; p != nil && p.Exe != "" && arg(e, "exe") == nil {
			add(e, "res", event.Arg{Name: "exe", Text: p.Exe}, event.Arg{Name: "args", Text: strings.Join(p.Args, " ")})
			add(e, "ptid", event.Arg{Name: "cwd", Text: p.CWD})
		}
	}
	// A recording may have it.
	if groups := t.groupsOf(&e.Task); groups != "" && arg(e, "cgroups") == nil {
		add(e, "comm", event.Arg{Name: "cgroups", Text: groups})
	}
}

// groupsOf are a task's cgroups as Falco tells them: the path for each controller, in v2
// also where one is enabled only further up. Those of v1 are known while the process
// runs.
func (t *Table) groupsOf(task *event.Task) string {
	unified, _ := t.CgroupPath(task.CgroupID)
	var legacy map[string]string
	if t.legacy {
		legacy = t.files.legacyGroups(task.PID, task.StartNS)
	}
	var all []string
	for _, c := range controllers {
		path := legacy[c]
		if t.controllers[c] {
			path = unified
		}
		if path != "" {
			all = append(all, c+"="+path)
		}
	}
	return strings.Join(all, " ")
}

// add puts parameters behind another one.
func add(e *event.Event, behind string, args ...event.Arg) {
	at := slices.IndexFunc(e.Args, func(a event.Arg) bool { return a.Name == behind }) + 1
	e.Args = slices.Insert(e.Args, at, args...)
}
