package config

// foreign is a key of Falco's that means nothing here.
type foreign struct {
	// why ends the warning.
	why string
	// same are values that ask for what Riposte does anyway: no warning.
	same []string
}

// foreigners are the keys of falco.yaml that Config does not have, by their path.
// What stands below one of them is not looked at.
var foreigners = map[string]foreign{
	"engine":                   {why: "events come from eBPF programs, or from riposte.recording"},
	"load_plugins":             {why: "there are no plugins; containers and pods are built in", same: []string{"[]"}},
	"plugins":                  {why: "there are no plugins; containers and pods are built in", same: []string{"[]"}},
	"plugins_hostinfo":         {why: "there are no plugins"},
	"container_engines":        {why: "riposte.containers names the runtimes' sockets"},
	"capture":                  {why: "captures to a file are not written", same: []string{"enabled: false"}},
	"buffer_format_base64":     {why: "buffers are printed as text", same: []string{"false"}},
	"buffered_outputs":         {why: "every line is written at once", same: []string{"false"}},
	"static_fields":            {why: "use append_output with extra_fields"},
	"grpc":                     {why: "there is no gRPC server; alerts go over NATS", same: []string{"enabled: false"}},
	"grpc_output":              {why: "there is no gRPC server; alerts go over NATS", same: []string{"enabled: false"}},
	"outputs":                  {why: "alerts are not throttled, here or in newer Falcos"},
	"outputs_queue.recovery":   {why: "an alert for which the queue has no room is dropped and counted", same: []string{"continue"}},
	"webserver.threadiness":    {why: "the server needs no number of threads", same: []string{"0"}},
	"log_stderr":               {why: "the agent's own messages always go to standard error", same: []string{"true"}},
	"log_syslog":               {why: "the agent's own messages go to standard error alone", same: []string{"false"}},
	"libs_logger":              {why: "there is no library that logs by itself", same: []string{"enabled: false"}},
	"syscall_event_timeouts":   {why: "the ring buffer wakes its reader, there is nothing to time out"},
	"metrics":                  {why: "figures are served at /metrics (webserver.prometheus_metrics_enabled), not written as alerts", same: []string{"enabled: false"}},
	"falco_libs":               {why: "the process table sizes itself"},
	"rule_files":               {why: "it is called rules_files"},
	"syscall_drop_failed_exit": {why: "rules tell failed calls by evt.failed", same: []string{"false"}},
	"syscall_buf_size_preset":  {why: "the ring buffer has its own size"},
	"modern_bpf":               {why: "events come from eBPF programs"},
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
		case list:
			if same == "[]" && len(v.items) == 0 {
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
