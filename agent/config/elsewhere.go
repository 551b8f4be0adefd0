package config

import "strings"

// foreign is a key of Falco's that means nothing here.
type foreign struct {
	// why ends the warning. Without any there is none: the key says how something is
	// done that is not done here at all, and another key tells that.
	why string
	// same are values that ask for what Riposte does anyway: no warning.
	same []string
}

const (
	ownBuffer  = "the ring buffer has its own size"
	ownTable   = "the process table sizes itself"
	noCaptures = "captures to a file are not written"
	noGRPC     = "there is no gRPC server; alerts go over NATS"
)

// foreigners are the keys of falco.yaml that Config does not have, by their path.
// What stands below one of them is looked at if its keys are here too. Their
// values in "same" are Falco's defaults.
var foreigners = map[string]foreign{
	"engine.kmod": {}, "engine.ebpf": {}, "engine.gvisor": {},
	"engine.modern_ebpf":                      {why: ownBuffer},
	"engine.modern_ebpf.cpus_for_each_buffer": {why: ownBuffer, same: []string{"2"}},
	"engine.modern_ebpf.buf_size_preset":      {why: ownBuffer, same: []string{"4"}},
	"engine.modern_ebpf.drop_failed_exit":     {why: "rules tell failed calls by evt.failed", same: []string{"false"}},
	"engine.modern_ebpf.disable_iterators":    {why: "the process table is read when the agent starts", same: []string{"false"}},
	"plugins_hostinfo":                        {},
	"container_engines":                       {why: "riposte.containers names the runtimes' sockets"},
	"capture":                                 {why: noCaptures},
	"capture.enabled":                         {why: noCaptures, same: []string{"false"}},
	"capture.path_prefix":                     {},
	"capture.mode":                            {},
	"capture.default_duration":                {},
	"buffer_format_base64":                    {why: "buffers are printed as text", same: []string{"false"}},
	"buffered_outputs":                        {why: "every line is written at once", same: []string{"false"}},
	"grpc":                                    {why: noGRPC, same: []string{"enabled: false"}},
	"grpc_output":                             {why: noGRPC, same: []string{"enabled: false"}},
	"outputs":                                 {why: "alerts are not throttled, here or in newer Falcos"},
	"outputs_queue.recovery":                  {why: "an alert for which the queue has no room is dropped and counted", same: []string{"continue"}},
	"webserver.threadiness":                   {why: "the server needs no number of threads", same: []string{"0"}},
	"log_stderr":                              {why: "the agent's own messages always go to standard error", same: []string{"true"}},
	"log_syslog":                              {why: "the agent's own messages go to standard error alone", same: []string{"false"}},
	"libs_logger":                             {},
	"libs_logger.enabled":                     {},
	"libs_logger.severity":                    {},
	"syscall_event_timeouts":                  {why: "the ring buffer wakes its reader, there is nothing to time out"},
	"syscall_event_timeouts.max_consecutives": {why: "the ring buffer wakes its reader, there is nothing to time out", same: []string{"1000"}},
	"falco_libs":                              {why: ownTable},
	"falco_libs.thread_table_size":            {why: "riposte.max_processes bounds the process table", same: []string{"262144"}},
	"falco_libs.thread_table_auto_purging_interval_s":       {why: ownTable, same: []string{"300"}},
	"falco_libs.thread_table_auto_purging_thread_timeout_s": {why: ownTable, same: []string{"300"}},
	"falco_libs.snaplen":       {why: "buffers are captured at a length of their own", same: []string{"80"}},
	"rule_files":               {why: "it is called rules_files"},
	"syscall_drop_failed_exit": {why: "rules tell failed calls by evt.failed", same: []string{"false"}},
	"syscall_buf_size_preset":  {why: ownBuffer},
	"modern_bpf":               {why: "events come from eBPF programs"},
}

// elsewhere looks at a key of Falco's, and at those below it.
func (d *decoder) elsewhere(path string, e entry, f foreign) {
	if e.value.kind == mapping && deeper(path) {
		for _, sub := range e.value.keys {
			full := path + "." + sub.key
			if f, ok := foreigners[full]; ok {
				d.elsewhere(full, sub, f)
			} else {
				d.unknown(sub, path+".", nil)
			}
		}
		return
	}
	if f.why != "" && f.tells(e.value) {
		d.warn(e.at, "%s is a key of Falco's that does nothing here: %s", path, f.why)
	}
}

// deeper says that the keys below a path are known.
func deeper(path string) bool {
	for key := range foreigners {
		if strings.HasPrefix(key, path+".") {
			return true
		}
	}
	return false
}

// tells says that a value asks for something else than what Riposte does anyway.
func (f foreign) tells(v *value) bool {
	if v.null {
		return false
	}
	for _, same := range f.same {
		switch v.kind {
		case scalar:
			if v.text == same {
				return false
			}
		case mapping:
			if e := v.get("enabled"); same == "enabled: false" && e != nil && e.value.text == "false" {
				return false
			}
		}
	}
	return true
}

// builtin is the one plugin of Falco's whose fields Riposte has.
const builtin = "container"

// plugins warns about plugins that Falco would load. Those that are only
// described, as in its own file, are not loaded there either.
func (d *decoder) plugins(root *value) {
	load, describe := root.get("load_plugins"), root.get("plugins")
	var names []*value
	switch {
	case load != nil && !load.value.null:
		names = load.value.items
		if load.value.kind == scalar {
			names = []*value{load.value}
		}
	case describe != nil:
		for _, p := range describe.value.items {
			if name := p.get("name"); name != nil {
				names = append(names, name.value)
			}
		}
	}
	for _, name := range names {
		if name.text != builtin {
			d.warn(name.at, "the plugin %q is not loaded: there are no plugins; containers and pods are built in", name.text)
		}
	}
}
