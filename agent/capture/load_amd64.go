//go:build linux

package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"riposte/bpf"
)

// hostPIDNamespace is the inode of the first pid namespace, the same on every kernel.
const hostPIDNamespace = "pid:[4026531836]"

// preflight finds the causes that we can name better than the kernel does.
func preflight(log *slog.Logger) error {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); errors.Is(err, fs.ErrNotExist) {
		return &Unavailable{
			Why: "the kernel has no type information (/sys/kernel/btf/vmlinux is missing)", Err: err,
			Help: "use a kernel of version 5.8 or newer built with CONFIG_DEBUG_INFO_BTF=y, as all common distributions have",
		}
	}
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil && ns != hostPIDNamespace {
		return &Unavailable{
			Why:  "this process is in a pid namespace of its own, so it cannot see the processes that the kernel reports",
			Help: "run on the host, or in a pod with hostPID: true",
		}
	}
	if err := checkPrivileges(log); err != nil {
		return err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return &Unavailable{
			Why: "this kernel counts BPF maps as locked memory (5.11 or newer does not), and this process may not lock enough", Err: err,
			Help: "add CAP_SYS_RESOURCE, or start the agent with an unlimited RLIMIT_MEMLOCK",
		}
	}
	return nil
}

// refused says what a failed load most likely means.
func refused(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier):
		return &Unavailable{
			Why: "the kernel's verifier rejects a program: " + firstLine(err), Err: err,
			Help: "please report this with the kernel's version (uname -r)",
		}
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return &Unavailable{
			Why: "the kernel refuses BPF programs though this process has the capabilities for them", Err: err,
			Help: "look for a seccomp profile, a user namespace or lockdown=confidentiality; in a pod set privileged: true",
		}
	case errors.Is(err, ebpf.ErrNotSupported):
		return &Unavailable{
			Why: "the kernel lacks something that capture needs: " + firstLine(err), Err: err,
			Help: "use a kernel of version 5.8 or newer",
		}
	}
	return &Unavailable{Why: firstLine(err), Err: err, Help: "see the cause"}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// keep leaves in spec the programs of one kind.
func keep(spec *ebpf.CollectionSpec, kind string) {
	for name := range spec.Programs {
		if !strings.HasSuffix(name, kind) {
			delete(spec.Programs, name)
		}
	}
}

// configure sets what the programs know from their start.
func configure(spec *ebpf.CollectionSpec, o Options) error {
	own := uint32(os.Getpid())
	if o.OwnEvents {
		own = 0
	}
	for name, value := range map[string]any{
		bpf.SyscallVarOwnTgid:        own,
		bpf.SyscallVarWakeIntervalNs: uint64(wakeInterval),
		bpf.SyscallVarWakeBytes:      uint64(o.RingBytes / 4),
		bpf.SyscallVarShedLowBytes:   uint64(o.RingBytes / 2),
		bpf.SyscallVarShedBytes:      uint64(o.RingBytes / 8 * 7),
	} {
		v, ok := spec.Variables[name]
		if !ok {
			continue // the compiler left it out where nothing reads it
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("BPF variable %s: %w", name, err)
		}
		if err := store(spec.Maps[v.SectionName], v); err != nil {
			return err
		}
	}
	// The values are in their sections now. A variable that is left here would have its
	// section mapped into our memory, which we never look at and which would keep the
	// map in the kernel after Close, until the garbage collector comes by.
	spec.Variables = nil
	return nil
}

// store writes a variable's value into the contents of its section.
func store(section *ebpf.MapSpec, v *ebpf.VariableSpec) error {
	if section == nil || len(section.Contents) != 1 {
		return fmt.Errorf("BPF variable %s: section %s has no contents", v.Name, v.SectionName)
	}
	data, ok := section.Contents[0].Value.([]byte)
	if !ok || int(v.Offset)+len(v.Value) > len(data) {
		return fmt.Errorf("BPF variable %s does not fit section %s", v.Name, v.SectionName)
	}
	data = bytes.Clone(data)
	copy(data[v.Offset:], v.Value)
	section.Contents[0].Value = data
	return nil
}
