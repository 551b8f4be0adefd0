//go:build linux

package capture_test

import (
	"encoding/binary"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
)

const nobody = 65534

// state makes a call that changes the task; ids come last in the order of the call.
func (c *caller) state(typ event.Type, nr64, nr32 int, end error, args []uintptr, w, change want) {
	c.made(typ, nr64, nr32, end, "res", args, told{Args: w, Change: change})
}

func (c *caller) states() {
	c.directories()
	c.ids()
	self := num(os.Getpid())
	c.state(event.Prctl, unix.SYS_PRCTL, 172, nil, []uintptr{unix.PR_SET_NAME, c.str("renamed")}, want{"option": "PR_SET_NAME", "arg2_str": "renamed", "arg2_int": "0"},
		want{"comm": "renamed"})
	c.state(event.Prctl, unix.SYS_PRCTL, 172, nil, []uintptr{unix.PR_GET_DUMPABLE}, want{"option": "PR_GET_DUMPABLE", "arg2_str": "", "arg2_int": "0"}, nil)
	c.state(event.Prctl, unix.SYS_PRCTL, 172, unix.EFAULT, []uintptr{unix.PR_SET_NAME, 8}, want{"option": "PR_SET_NAME", "arg2_str": "", "arg2_int": "0"}, nil)
	must("name", unix.Prctl(unix.PR_SET_NAME, c.str("capture.test"), 0, 0, 0), nil)
	group := unix.Getpgrp()
	if !c.compat { // a leader of a group cannot begin a session, so it goes back first
		for _, c.compat = range []bool{true, false} {
			c.state(event.Setpgid, unix.SYS_SETPGID, 57, nil, []uintptr{0, 0}, want{"pid": "0", "pgid": "0"}, want{"pgid": self, "vpgid": self})
			c.state(event.Setpgid, unix.SYS_SETPGID, 57, nil, []uintptr{0, uintptr(group)}, want{"pid": "0", "pgid": num(group)}, want{"pgid": num(group)})
		}
		c.state(event.Setsid, unix.SYS_SETSID, 66, nil, nil, nil, want{"sid": self, "pgid": self, "vsid": self, "tty": "0"})
	}
	c.state(event.Setsid, unix.SYS_SETSID, 66, unix.EPERM, nil, nil, nil)
	c.state(event.Setpgid, unix.SYS_SETPGID, 57, unix.ESRCH, []uintptr{1 << 29, 0}, want{"pid": num(1 << 29), "pgid": "0"}, nil)
	c.state(event.Capset, unix.SYS_CAPSET, 185, unix.EINVAL, []uintptr{c.put(make([]byte, 8)), c.put(make([]byte, 24))},
		want{"cap_inheritable": capText("CapInh"), "cap_permitted": capText("CapPrm"), "cap_effective": capText("CapEff")}, nil)
	c.capabilities()
	namespaces, first := c.open("/proc/self/ns/uts", unix.O_RDONLY), inode("/proc/self/ns/uts")
	c.state(event.Unshare, unix.SYS_UNSHARE, 310, nil, []uintptr{unix.CLONE_NEWUTS | unix.CLONE_FS}, want{"flags": "CLONE_FS|CLONE_NEWUTS"}, want{"uts": "*"})
	c.state(event.Setns, unix.SYS_SETNS, 346, nil, []uintptr{namespaces, unix.CLONE_NEWUTS}, want{"fd": num(namespaces), "nstype": "CLONE_NEWUTS"}, want{"uts": first})
	c.state(event.Unshare, unix.SYS_UNSHARE, 310, unix.EINVAL, []uintptr{1 << 6}, want{"flags": "0"}, nil)
	c.state(event.Setns, unix.SYS_SETNS, 346, unix.EBADF, []uintptr{999, 0}, want{"fd": "999", "nstype": "0"}, nil)
}

func inode(name string) string {
	var st unix.Stat_t
	must("stat", unix.Stat(name, &st), nil)
	return num(st.Ino)
}

func (c *caller) directories() {
	c.state(event.Chdir, unix.SYS_CHDIR, 12, nil, []uintptr{c.str("/usr/../etc")}, want{"path": "/etc"}, want{"cwd": "/etc", "root": "/"})
	c.state(event.Chdir, unix.SYS_CHDIR, 12, unix.ENOENT, []uintptr{c.str("none")}, want{"path": "/etc/none"}, nil)
	usr := c.open("/usr", unix.O_RDONLY)
	c.made(event.Fchdir, unix.SYS_FCHDIR, 133, nil, "res", []uintptr{usr}, told{Args: want{"fd": "<d>/usr"}, File: want{"kind": "d", "name": "/usr"}, Change: want{"cwd": "/usr"}})
	c.made(event.Fchdir, unix.SYS_FCHDIR, 133, unix.EBADF, "res", []uintptr{999}, told{Args: want{"fd": "999"}, File: want{"kind": ""}})
	c.state(event.Chroot, unix.SYS_CHROOT, 61, unix.ENOENT, []uintptr{c.str("none")}, want{"path": "/usr/none"}, nil)
}

// ids changes the effective ids and back; 32-bit calls have numbers for ids of 16 bits
// too.
func (c *caller) ids() {
	const keep = ^uint32(0)
	wide := func(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
	back := func() {
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0)
		must("back", errnoOf(errno), nil)
		_, _, errno = unix.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0)
		must("back", errnoOf(errno), nil)
	}
	args := func(ids ...uint32) (all []uintptr) {
		for _, id := range ids {
			all = append(all, uintptr(id))
		}
		return all
	}
	for _, nr := range []struct{ res, resg, re, reg, uid, gid int }{{208, 210, 203, 204, 213, 214}, {164, 170, 70, 71, 23, 46}} {
		c.state(event.Setresgid, unix.SYS_SETRESGID, nr.resg, nil, args(keep, nobody, 7), want{"rgid": wide(keep), "egid": wide(nobody), "sgid": "7"},
			want{"gid": "0", "egid": wide(nobody), "sgid": "7", "fsgid": wide(nobody)})
		c.state(event.Setresuid, unix.SYS_SETRESUID, nr.res, nil, args(keep, nobody, 0), want{"ruid": wide(keep), "euid": wide(nobody), "suid": "0"},
			want{"uid": "0", "euid": wide(nobody), "suid": "0", "fsuid": wide(nobody), "effective": "0"})
		c.state(event.Setuid, unix.SYS_SETUID, nr.uid, unix.EPERM, args(5), want{"uid": "5"}, nil)
		c.state(event.Setgid, unix.SYS_SETGID, nr.gid, unix.EPERM, args(5), want{"gid": "5"}, nil)
		c.state(event.Setresuid, unix.SYS_SETRESUID, nr.res, unix.EPERM, args(5, 6, 7), want{"ruid": "5", "euid": "6", "suid": "7"}, nil)
		c.state(event.Setresgid, unix.SYS_SETRESGID, nr.resg, unix.EPERM, args(5, 6, 8), want{"rgid": "5", "egid": "6", "sgid": "8"}, nil)
		c.state(event.Setreuid, unix.SYS_SETREUID, nr.re, unix.EPERM, args(5, 6), want{"ruid": "5", "euid": "6"}, nil)
		c.state(event.Setregid, unix.SYS_SETREGID, nr.reg, unix.EPERM, args(5, 6), want{"rgid": "5", "egid": "6"}, nil)
		back()
		c.state(event.Setregid, unix.SYS_SETREGID, nr.reg, nil, args(keep, 9), want{"rgid": wide(keep), "egid": "9"}, want{"gid": "0", "egid": "9"})
		c.state(event.Setreuid, unix.SYS_SETREUID, nr.re, nil, args(keep, 8), want{"ruid": wide(keep), "euid": "8"}, want{"uid": "0", "euid": "8"})
		back()
		c.state(event.Setgid, unix.SYS_SETGID, nr.gid, nil, args(0), want{"gid": "0"}, want{"gid": "0", "egid": "0"})
		c.state(event.Setuid, unix.SYS_SETUID, nr.uid, nil, args(0), want{"uid": "0"}, want{"uid": "0", "euid": "0"})
	}
}

func errnoOf(e unix.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

// capabilities gives one up and keeps the others.
func (c *caller) capabilities() {
	prm, err := strconv.ParseUint(capText("CapPrm"), 10, 64)
	must("capabilities", err, nil)
	const dropped = unix.CAP_WAKE_ALARM
	eff := prm &^ (1 << dropped)
	head := binary.LittleEndian.AppendUint32(nil, unix.LINUX_CAPABILITY_VERSION_3)
	head = append(head, 0, 0, 0, 0)
	var data []byte
	for _, shift := range []int{0, 32} {
		for _, set := range []uint64{eff, prm, 1 << unix.CAP_CHOWN} {
			data = binary.LittleEndian.AppendUint32(data, uint32(set>>shift))
		}
	}
	w := want{"cap_inheritable": "1", "cap_permitted": num(prm), "cap_effective": num(eff)}
	c.state(event.Capset, unix.SYS_CAPSET, 185, nil, []uintptr{c.put(head), c.put(data)}, w, want{"inheritable": "1", "permitted": num(prm), "effective": num(eff)})
}

// capText is one of the task's capability sets as a decimal number.
func capText(name string) string {
	n, err := strconv.ParseUint(statusOf(name), 16, 64)
	must("status", err, nil)
	return num(n)
}

// statusOf is a value of the thread's status in /proc.
func statusOf(name string) string {
	status, err := os.ReadFile("/proc/thread-self/status")
	must("status", err, nil)
	for line := range strings.Lines(string(status)) {
		if n, value, _ := strings.Cut(line, ":"); n == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// roots are the last calls, for they take the folder away: one namespace of mounts for
// the thread, new roots in it, and a folder as the root.
func (c *caller) roots(dir string) {
	must("unshare", unix.Unshare(unix.CLONE_NEWNS), nil)
	must("private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), nil)
	root, cwd := dir, path.Join("/old", dir)
	for _, c.compat = range []bool{false, true} {
		must("chdir", os.Chdir(root), nil)
		must("mkdir", os.Mkdir("root", 0o755), nil)
		must("mount", unix.Mount("none", "root", "tmpfs", 0, ""), nil)
		must("mkdir", os.MkdirAll("root/old", 0o755), nil)
		c.state(event.PivotRoot, unix.SYS_PIVOT_ROOT, 217, unix.ENOENT, []uintptr{c.str("none"), c.str("/none/b")}, want{"new_root": path.Join(root, "none"), "put_old": "/none/b"}, nil)
		c.state(event.PivotRoot, unix.SYS_PIVOT_ROOT, 217, nil, []uintptr{c.str(path.Join(root, "root")), c.str(path.Join(root, "root/old"))},
			want{"new_root": path.Join(root, "root"), "put_old": path.Join(root, "root/old")}, want{"root": "/", "cwd": cwd})
		root, cwd = "/", "/" // who was in the old root is in the new one
	}
	// Seen from outside of the new root, where the caller still is, names are those of
	// the namespace.
	below := "/old"
	for _, c.compat = range []bool{false, true} {
		must("mkdir", os.MkdirAll("/old/old", 0o755), nil)
		c.state(event.Chdir, unix.SYS_CHDIR, 12, nil, []uintptr{c.str("/")}, want{"path": "/"}, want{"cwd": "/"})
		c.state(event.Chroot, unix.SYS_CHROOT, 61, nil, []uintptr{c.str("old")}, want{"path": below}, want{"root": below})
		below += "/old"
	}
}
