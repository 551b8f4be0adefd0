package incident

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"riposte/agent/alert"
	"riposte/responder/playbook"
)

// Fingerprint is equal for alerts of one incident that say the same: the same
// rule, priority, binding, container and pod, and the same fields of the rule's
// output, but for those that differ each time: numbers of processes, threads,
// sessions, events and descriptors, times and durations, and ports.
func Fingerprint(a *alert.Alert, binding playbook.Binding) []byte {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(h, "%d:%s", len(p), p)
		}
	}
	add("1", a.Rule, a.Priority.String(), a.Source, string(binding))
	if r := a.Riposte; r != nil {
		add(r.Node, r.Intake, strconv.FormatBool(r.Recorded))
		if r.Container != nil {
			add("container", r.Container.ID, fmt.Sprint(r.Container.CgroupID, r.Container.StartNS))
		}
		if r.Pod != nil {
			add("pod", r.Pod.UID, r.Pod.Namespace, r.Pod.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.OutputFields)) {
		if !passing(name) {
			add(name)
			addValue(h, a.OutputFields[name])
		}
	}
	return h.Sum(nil)[:16]
}

// addValue writes one field's value as JSON, ports taken off a connection's name.
func addValue(h hash.Hash, v any) {
	if s, ok := v.(string); ok {
		v = portless(s)
	}
	b, err := json.Marshal(v) // map keys are sorted; what came from JSON goes back into it
	if err != nil {
		b = fmt.Append(nil, v)
	}
	fmt.Fprintf(h, "%d:", len(b))
	_, _ = h.Write(b) // never fails
	_, _ = io.WriteString(h, ";")
}

// Fields that differ between two alerts about the same, by name without argument.
var passingFields = map[string]bool{
	"evt.num": true, "evt.cpu": true, "evt.latency": true, "evt.args": true, "evt.info": true, "evt.count": true,
	"evt.deltatime": true, "evt.reltime": true, "evt.rawres": true,
	"proc.pid": true, "proc.ppid": true, "proc.vpid": true, "proc.pvpid": true, "proc.apid": true, "proc.sid": true, "proc.vsid": true,
	"proc.pgid": true, "proc.vpgid": true, "proc.duration": true, "proc.cputime": true, "proc.ppid.duration": true,
	"proc.fdopencount": true, "proc.vmsize": true, "proc.vmrss": true, "proc.vmswap": true, "proc.thread.count": true, "proc.nthreads": true,
	"thread.tid": true, "thread.vtid": true, "thread.exectime": true, "thread.totexectime": true, "thread.cputime": true,
	"fd.num": true, "fd.uid": true, "fd.ino": true, "fd.dev": true,
	"fd.port": true, "fd.cport": true, "fd.sport": true, "fd.lport": true, "fd.rport": true,
	"container.duration": true,
}

// passing says whether a field differs each time.
func passing(name string) bool {
	if i := strings.IndexByte(name, '['); i >= 0 {
		name = name[:i]
	}
	return passingFields[name] || strings.HasSuffix(name, ".ts") || strings.HasSuffix(name, "_ts") ||
		strings.HasPrefix(name, "evt.time") || strings.HasPrefix(name, "evt.rawtime") || strings.HasPrefix(name, "evt.datetime") ||
		strings.HasPrefix(name, "evt.reltime") || strings.HasPrefix(name, "evt.deltatime") || strings.HasPrefix(name, "evt.latency")
}

// tuple is a connection's name as Falco writes it: 10.0.0.1:4000->10.0.0.2:443, IPv6 too.
var tuple = regexp.MustCompile(`^([0-9A-Fa-f.:]+):\d+->([0-9A-Fa-f.:]+):\d+$`)

func portless(s string) string {
	if m := tuple.FindStringSubmatch(s); m != nil {
		return m[1] + "->" + m[2]
	}
	return s
}
