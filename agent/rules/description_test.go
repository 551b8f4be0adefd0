package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDescribe holds the whole form of "falco -L" with json_output. What Falco
// takes from the condition with its macros in place is so here too; file and line
// are ours.
func TestDescribe(t *testing.T) {
	rs := load(t, `
- required_engine_version: 57
- required_plugin_versions:
    - name: container
      version: 0.4.0
- list: shells
  items: [sh, more]
- list: more
  items: [bash]
- list: all_shells
  items: [more, zsh]
- macro: opened
  condition: evt.type in (open, openat) and fd.num >= 0
- macro: by_shell
  condition: opened and proc.name in (all_shells)
- rule: Shell reads
  desc: a shell reads
  condition: by_shell and not container.id = host
  output: "%5proc.name reads %fd.name"
  priority: WARNING
  tags: [b, a]
  exceptions:
    - name: parents
      fields: [proc.pname, proc.aname]
      comps: [=, in]
      values: [[init, [a, b]]]
`)
	got, err := json.Marshal(rs.Describe())
	require.NoError(t, err)
	require.JSONEq(t, `{
  "required_engine_version": "0.57.0",
  "required_plugin_versions": [{"name": "container", "version": "0.4.0", "alternatives": []}],
  "rules": [{
    "info": {
      "name": "Shell reads", "condition": "by_shell and not container.id = host", "description": "a shell reads", "output": "%5proc.name reads %fd.name",
      "enabled": true, "source": "syscall", "priority": "Warning", "tags": ["a", "b"], "file": "0.yaml", "line": 16
    },
    "details": {
      "macros": ["by_shell"], "lists": [], "condition_operators": ["=", ">=", "in"],
      "condition_fields": ["container.id", "evt.type", "fd.num", "proc.aname", "proc.name", "proc.pname"],
      "condition_compiled": "(((evt.type in (open, openat) and fd.num >= 0) and proc.name in (bash, zsh)) and not container.id = host) and not (proc.pname = init and proc.aname in (a, b))",
      "events": ["asyncevent", "open", "openat"], "plugins": ["container"],
      "output_fields": ["container.id", "container.image.repository", "container.image.tag", "container.name", "fd.name", "k8s.ns.name", "k8s.pod.name", "proc.name"],
      "output_compiled": "%5proc.name reads %fd.name container_id=%container.id container_name=%container.name container_image_repository=%container.image.repository container_image_tag=%container.image.tag k8s_pod_name=%k8s.pod.name k8s_ns_name=%k8s.ns.name",
      "exception_names": ["parents"], "exception_fields": ["proc.aname", "proc.pname"], "exception_operators": ["=", "in"]
    }
  }],
  "macros": [
    {
      "info": {"name": "opened", "condition": "evt.type in (open, openat) and fd.num >= 0"},
      "details": {
        "macros": [], "lists": [], "condition_operators": [">=", "in"], "condition_fields": ["evt.type", "fd.num"],
        "condition_compiled": "evt.type in (open, openat) and fd.num >= 0", "events": ["asyncevent", "open", "openat"], "plugins": [], "used": true
      }
    },
    {
      "info": {"name": "by_shell", "condition": "opened and proc.name in (all_shells)"},
      "details": {
        "macros": ["opened"], "lists": ["all_shells"], "condition_operators": [">=", "in"], "condition_fields": ["evt.type", "fd.num", "proc.name"],
        "condition_compiled": "(evt.type in (open, openat) and fd.num >= 0) and proc.name in (bash, zsh)", "events": ["asyncevent", "open", "openat"], "plugins": [], "used": true
      }
    }
  ],
  "lists": [
    {"info": {"name": "shells", "items": ["sh", "more"]}, "details": {"used": false, "items_compiled": ["sh", "more"], "lists": [], "plugins": []}},
    {"info": {"name": "more", "items": ["bash"]}, "details": {"used": true, "items_compiled": ["bash"], "lists": [], "plugins": []}},
    {"info": {"name": "all_shells", "items": ["zsh"]}, "details": {"used": true, "items_compiled": ["bash", "zsh"], "lists": ["more"], "plugins": []}}
  ]
}`, string(got))
}
