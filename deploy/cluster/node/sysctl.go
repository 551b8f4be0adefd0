package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Kubelet sets these for the whole machine, whatever its namespaces.
var sysctls = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// What they were before the first cluster of this machine came up. A reboot
// resets both.
const sysctlsBefore = "/run/riposte-cluster-sysctls"

// keepSysctls writes down what they are, unless an earlier start already has.
func keepSysctls() error {
	if _, err := os.Stat(sysctlsBefore); err == nil {
		return nil
	}
	values := map[string]string{}
	for _, name := range sysctls {
		value, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			return err
		}
		values[name] = strings.TrimSpace(string(value))
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	// Whole or not at all: half of it would restore half.
	if err := os.WriteFile(sysctlsBefore+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(sysctlsBefore+".new", sysctlsBefore)
}

// restoreSysctls puts them back when no other cluster is up.
func restoreSysctls(c cgroup) error {
	others, err := filepath.Glob(filepath.Join(filepath.Dir(c.unified), "riposte-cluster-*"))
	if err != nil || len(others) > 0 {
		return err
	}
	text, err := os.ReadFile(sysctlsBefore)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var values map[string]string
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	for name, value := range values {
		if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
			return err
		}
	}
	return os.Remove(sysctlsBefore)
}
