//go:build linux

package capture_test

import (
	"encoding/binary"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
)

const cwdText = "AT_FDCWD"

// open gives a descriptor that no event is told of.
func (c *caller) open(name string, flags int) uintptr {
	fd, err := unix.Open(name, flags, 0)
	must("open", err, nil)
	return uintptr(fd)
}

func (c *caller) touch(names ...string) {
	for _, name := range names {
		must("write", os.WriteFile(c.in(name), []byte("x"), 0o600), nil)
	}
}

func (c *caller) files() {
	c.touch("a", "b", "d")
	dir := c.open(c.dir, unix.O_DIRECTORY|unix.O_CLOEXEC)
	dirText := "<d>" + c.dir
	noneText := c.in("none")
	c.opens(dir, dirText)

	two := func(old, new string) []uintptr { return []uintptr{c.str(old), c.str(new)} }
	c.made(event.Link, unix.SYS_LINK, 9, nil, "res", two(c.in("a"), "l"), told{Args: want{"oldpath": c.in("a"), "newpath": c.in("l")}})
	c.made(event.Link, unix.SYS_LINK, 9, unix.ENOENT, "res", two("none", c.in("l2")), told{Args: want{"oldpath": noneText, "newpath": c.in("l2")}})
	c.made(event.Linkat, unix.SYS_LINKAT, 303, nil, "res", []uintptr{dir, c.str("a"), atCWD, c.str("./l3"), unix.AT_SYMLINK_FOLLOW},
		told{Args: want{"olddir": dirText, "oldpath": c.in("a"), "newdir": cwdText, "newpath": c.in("l3"), "flags": "AT_SYMLINK_FOLLOW"}})
	c.made(event.Linkat, unix.SYS_LINKAT, 303, unix.EBADF, "res", []uintptr{999, c.str("a"), dir, c.str("l4"), 0},
		told{Args: want{"olddir": "999", "oldpath": "<UNKNOWN>/a", "newdir": dirText, "newpath": c.in("l4"), "flags": "0"}})
	c.made(event.Symlink, unix.SYS_SYMLINK, 83, nil, "res", two("../target", "s"), told{Args: want{"target": "../target", "linkpath": c.in("s")}})
	c.made(event.Symlink, unix.SYS_SYMLINK, 83, unix.EEXIST, "res", two("x", c.in("s")), told{Args: want{"target": "x", "linkpath": c.in("s")}})
	c.made(event.Symlinkat, unix.SYS_SYMLINKAT, 304, nil, "res", []uintptr{c.str("/etc"), dir, c.str("s2")},
		told{Args: want{"target": "/etc", "linkdirfd": dirText, "linkpath": c.in("s2")}})
	c.made(event.Symlinkat, unix.SYS_SYMLINKAT, 304, unix.EEXIST, "res", []uintptr{c.str("/etc"), atCWD, c.str("s2")},
		told{Args: want{"target": "/etc", "linkdirfd": cwdText, "linkpath": c.in("s2")}})
	c.made(event.Rename, unix.SYS_RENAME, 38, nil, "res", two("a", "sub/../a2"), told{Args: want{"oldpath": c.in("a"), "newpath": c.in("a2")}})
	c.made(event.Rename, unix.SYS_RENAME, 38, unix.ENOENT, "res", two("none", "x"), told{Args: want{"oldpath": noneText, "newpath": c.in("x")}})
	c.made(event.Renameat, unix.SYS_RENAMEAT, 302, nil, "res", []uintptr{dir, c.str("a2"), dir, c.str("a3")},
		told{Args: want{"olddirfd": dirText, "oldpath": c.in("a2"), "newdirfd": dirText, "newpath": c.in("a3")}})
	c.made(event.Renameat, unix.SYS_RENAMEAT, 302, unix.ENOENT, "res", []uintptr{atCWD, c.str("none"), dir, c.str("x")},
		told{Args: want{"olddirfd": cwdText, "oldpath": noneText, "newdirfd": dirText, "newpath": c.in("x")}})
	c.made(event.Renameat2, unix.SYS_RENAMEAT2, 353, nil, "res", []uintptr{dir, c.str("a3"), dir, c.str("b"), unix.RENAME_EXCHANGE},
		told{Args: want{"olddirfd": dirText, "oldpath": c.in("a3"), "newdirfd": dirText, "newpath": c.in("b"), "flags": "RENAME_EXCHANGE"}})
	c.made(event.Renameat2, unix.SYS_RENAMEAT2, 353, unix.EEXIST, "res", []uintptr{dir, c.str("a3"), dir, c.str("b"), unix.RENAME_NOREPLACE},
		told{Args: want{"olddirfd": dirText, "oldpath": c.in("a3"), "newdirfd": dirText, "newpath": c.in("b"), "flags": "RENAME_NOREPLACE"}})
	c.made(event.Mkdir, unix.SYS_MKDIR, 39, nil, "res", []uintptr{c.str("m"), 0o750}, told{Args: want{"path": c.in("m"), "mode": "0750"}})
	c.made(event.Mkdir, unix.SYS_MKDIR, 39, unix.EEXIST, "res", []uintptr{c.str(c.in("m")), 0o700}, told{Args: want{"path": c.in("m"), "mode": "0700"}})
	c.made(event.Mkdirat, unix.SYS_MKDIRAT, 296, nil, "res", []uintptr{dir, c.str("m2"), 0o755}, told{Args: want{"dirfd": dirText, "path": c.in("m2"), "mode": "0755"}})
	c.made(event.Mkdirat, unix.SYS_MKDIRAT, 296, unix.EEXIST, "res", []uintptr{atCWD, c.str("m2"), 0}, told{Args: want{"dirfd": cwdText, "path": c.in("m2"), "mode": "0"}})
	c.made(event.Rmdir, unix.SYS_RMDIR, 40, nil, "res", []uintptr{c.str("m")}, told{Args: want{"path": c.in("m")}})
	c.made(event.Rmdir, unix.SYS_RMDIR, 40, unix.ENOENT, "res", []uintptr{c.str("m")}, told{Args: want{"path": c.in("m")}})
	c.made(event.Unlink, unix.SYS_UNLINK, 10, nil, "res", []uintptr{c.str("l")}, told{Args: want{"path": c.in("l")}})
	c.made(event.Unlink, unix.SYS_UNLINK, 10, unix.ENOENT, "res", []uintptr{c.str("/none")}, told{Args: want{"path": "/none"}})
	c.made(event.Unlinkat, unix.SYS_UNLINKAT, 301, nil, "res", []uintptr{dir, c.str("m2"), unix.AT_REMOVEDIR},
		told{Args: want{"dirfd": dirText, "name": c.in("m2"), "flags": "AT_REMOVEDIR"}})
	c.made(event.Unlinkat, unix.SYS_UNLINKAT, 301, unix.ENOENT, "res", []uintptr{atCWD, c.str("m2"), 0},
		told{Args: want{"dirfd": cwdText, "name": c.in("m2"), "flags": "0"}})
	c.modes(dir, dirText)
	c.mounts()
}

func (c *caller) opens(dir uintptr, dirText string) {
	file := func(name string) want { return want{"kind": "f", "realpath": c.in(name)} }
	missing := want{"kind": "f", "num": "-1", "realpath": ""}
	fd := c.made(event.Open, unix.SYS_OPEN, 5, nil, "fd", []uintptr{c.str("a"), unix.O_RDWR}, told{
		File: file("a"),
		Args: want{"name": c.in("a"), "flags": "O_RDWR", "mode": "0", "dev": "*", "ino": "*"},
	})
	c.made(event.Open, unix.SYS_OPEN, 5, unix.ENOENT, "fd", []uintptr{c.str("none"), 0}, told{
		File: missing,
		Args: want{"name": c.in("none"), "flags": "O_RDONLY", "mode": "0", "dev": "0", "ino": "0"},
	})
	c.made(event.Openat, unix.SYS_OPENAT, 295, nil, "fd", []uintptr{dir, c.str("new"), unix.O_CREAT | unix.O_WRONLY | unix.O_APPEND, 0o604}, told{
		File: file("new"),
		Args: want{"dirfd": dirText, "name": c.in("new"), "flags": "O_APPEND|O_CREAT|O_WRONLY|O_F_CREATED", "mode": "0604", "dev": "*", "ino": "*"},
	})
	c.made(event.Openat, unix.SYS_OPENAT, 295, unix.EEXIST, "fd", []uintptr{atCWD, c.str("new"), unix.O_CREAT | unix.O_EXCL, 0o600}, told{
		File: missing,
		Args: want{"dirfd": cwdText, "name": c.in("new"), "flags": "O_EXCL|O_CREAT|O_RDONLY", "mode": "0600", "dev": "0", "ino": "0"},
	})
	how := binary.LittleEndian.AppendUint64(nil, unix.O_PATH|unix.O_DIRECTORY)
	how = append(how, make([]byte, 8)...)
	how = binary.LittleEndian.AppendUint64(how, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	must("mkdir", os.Mkdir(c.in("sub"), 0o755), nil)
	c.made(event.Openat2, unix.SYS_OPENAT2, 437, nil, "fd", []uintptr{dir, c.str("sub"), c.put(how), 24}, told{
		File: want{"kind": "d", "realpath": c.in("sub")},
		Args: want{"dirfd": dirText, "name": c.in("sub"), "flags": "O_DIRECTORY|O_RDONLY", "mode": "0", "resolve": "RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS", "dev": "*", "ino": "*"},
	})
	c.made(event.Openat2, unix.SYS_OPENAT2, 437, unix.EXDEV, "fd", []uintptr{dir, c.str("../x"), c.put(how), 24}, told{
		File: missing,
		Args: want{"dirfd": dirText, "name": path.Join(c.dir, "../x"), "flags": "O_DIRECTORY|O_RDONLY", "mode": "0", "resolve": "RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS", "dev": "0", "ino": "0"},
	})
	c.made(event.Creat, unix.SYS_CREAT, 8, nil, "fd", []uintptr{c.str("c"), 0o640}, told{
		File: file("c"),
		Args: want{"name": c.in("c"), "mode": "0640", "dev": "*", "ino": "*", "creat_flags": "0"},
	})
	c.made(event.Creat, unix.SYS_CREAT, 8, unix.EISDIR, "fd", []uintptr{c.str("sub"), 0o600}, told{
		File: missing,
		Args: want{"name": c.in("sub"), "mode": "0600", "dev": "0", "ino": "0", "creat_flags": "0"},
	})

	c.handles(dir)
	opened := want{"kind": "f", "name": c.in("a"), "realpath": c.in("a")}
	c.made(event.Fchmod, unix.SYS_FCHMOD, 94, nil, "res", []uintptr{uintptr(fd), 0o640}, told{
		File: opened,
		Args: want{"fd": "<f>" + c.in("a"), "mode": "S_IRGRP|S_IWUSR|S_IRUSR"},
	})
	c.made(event.Fchmod, unix.SYS_FCHMOD, 94, unix.EBADF, "res", []uintptr{999, 0o400}, told{
		File: want{"kind": ""},
		Args: want{"fd": "999", "mode": "S_IRUSR"},
	})
}

// handles opens a file that no argument names.
func (c *caller) handles(dir uintptr) {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, c.in("a"), 0)
	must("handle", err, nil)
	handle := binary.LittleEndian.AppendUint32(nil, uint32(h.Size()))
	handle = binary.LittleEndian.AppendUint32(handle, uint32(h.Type()))
	args := []uintptr{dir, c.put(append(handle, h.Bytes()...)), unix.O_WRONLY | unix.O_APPEND}
	c.made(event.OpenByHandleAt, unix.SYS_OPEN_BY_HANDLE_AT, 342, nil, "fd", args, told{
		File: want{"kind": "f", "realpath": c.in("a")},
		Args: want{"mountfd": num(dir), "flags": "O_APPEND|O_WRONLY", "path": c.in("a"), "dev": "*", "ino": num(inodeOf(c.in("a")))},
	})
	args[0] = 999
	c.made(event.OpenByHandleAt, unix.SYS_OPEN_BY_HANDLE_AT, 342, unix.EBADF, "fd", args, told{
		File: want{"kind": "f", "num": "-1", "realpath": ""},
		Args: want{"mountfd": "999", "flags": "O_APPEND|O_WRONLY", "path": "", "dev": "0", "ino": "0"},
	})
}

func inodeOf(name string) uint64 {
	var st unix.Stat_t
	must("stat", unix.Stat(name, &st), nil)
	return st.Ino
}

const nrFchmodat2 = 452

func (c *caller) modes(dir uintptr, dirText string) {
	c.made(event.Chmod, unix.SYS_CHMOD, 15, nil, "res", []uintptr{c.str("b"), 0o4755}, told{
		Args: want{"filename": c.in("b"), "mode": "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID"},
	})
	c.made(event.Chmod, unix.SYS_CHMOD, 15, unix.ENOENT, "res", []uintptr{c.str("none"), 0o1}, told{Args: want{"filename": c.in("none"), "mode": "S_IXOTH"}})
	for _, nr := range [][2]int{{unix.SYS_FCHMODAT, 306}, {nrFchmodat2, nrFchmodat2}} {
		c.made(event.Fchmodat, nr[0], nr[1], nil, "res", []uintptr{dir, c.str("b"), 0o2600}, told{
			Args: want{"dirfd": dirText, "filename": c.in("b"), "mode": "S_IWUSR|S_IRUSR|S_ISGID"},
		})
		c.made(event.Fchmodat, nr[0], nr[1], unix.ENOENT, "res", []uintptr{atCWD, c.str("none"), 0o600}, told{
			Args: want{"dirfd": cwdText, "filename": c.in("none"), "mode": "S_IWUSR|S_IRUSR"},
		})
	}
}

func (c *caller) mounts() {
	must("mkdir", os.Mkdir(c.in("mnt"), 0o755), nil)
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
	mount := func(end error, dir string) {
		c.made(event.Mount, unix.SYS_MOUNT, 21, end, "res", []uintptr{c.str("none"), c.str(dir), c.str("tmpfs"), flags, 0}, told{
			Args: want{"dev": "none", "dir": c.in(dir), "type": "tmpfs", "flags": "NOSUID|NODEV"},
		})
	}
	mount(unix.ENOENT, "none")
	mount(nil, "mnt")
	c.made(event.Umount2, unix.SYS_UMOUNT2, 52, nil, "res", []uintptr{c.str("mnt"), unix.MNT_DETACH}, told{Args: want{"name": c.in("mnt"), "flags": "DETACH"}})
	c.made(event.Umount2, unix.SYS_UMOUNT2, 52, unix.EINVAL, "res", []uintptr{c.str("mnt"), 0}, told{Args: want{"name": c.in("mnt"), "flags": "0"}})
	if c.compat {
		mount(nil, "mnt")
	}
	c.made(event.Umount, no, 22, nil, "res", []uintptr{c.str("mnt")}, told{Args: want{"name": c.in("mnt")}})
	c.made(event.Umount, no, 22, unix.EINVAL, "res", []uintptr{c.str("mnt")}, told{Args: want{"name": c.in("mnt")}})
	c.newMounts()
}

// newMounts mounts by descriptors.
func (c *caller) newMounts() {
	must("mkdir", os.MkdirAll(c.in("mnt"), 0o755), nil)
	fs := c.made(event.Fsopen, unix.SYS_FSOPEN, 430, nil, "fd", []uintptr{c.str("tmpfs"), unix.FSOPEN_CLOEXEC}, told{
		File: want{"kind": "o"}, Args: want{"fd": "<o>", "name": "tmpfs", "flags": "FSOPEN_CLOEXEC"},
	})
	c.made(event.Fsopen, unix.SYS_FSOPEN, 430, unix.ENODEV, "fd", []uintptr{c.str("no such"), 0}, told{
		File: want{"kind": ""}, Args: want{"name": "no such", "flags": "0"},
	})
	const create = 6
	must("create", raw(unix.SYS_FSCONFIG, uintptr(fs), create, 0, 0, 0), nil)
	tree := c.made(event.Fsmount, unix.SYS_FSMOUNT, 432, nil, "fd", []uintptr{uintptr(fs), 0, unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}, told{
		File: want{"kind": "d"}, Args: want{"fd": "*", "fsfd": num(fs), "flags": "0", "attr_flags": "MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV"},
	})
	c.made(event.Fsmount, unix.SYS_FSMOUNT, 432, unix.EBADF, "fd", []uintptr{999, unix.FSMOUNT_CLOEXEC, 0}, told{
		File: want{"kind": ""}, Args: want{"fsfd": "999", "flags": "FSMOUNT_CLOEXEC", "attr_flags": "0"},
	})
	c.made(event.MoveMount, unix.SYS_MOVE_MOUNT, 429, nil, "res", []uintptr{uintptr(tree), c.str(""), atCWD, c.str("mnt"), unix.MOVE_MOUNT_F_EMPTY_PATH}, told{
		Args: want{"from_dirfd": "*", "from": "", "to_dirfd": cwdText, "to": c.in("mnt"), "flags": "MOVE_MOUNT_F_EMPTY_PATH"},
	})
	c.made(event.MoveMount, unix.SYS_MOVE_MOUNT, 429, unix.ENOENT, "res", []uintptr{atCWD, c.str("mnt"), atCWD, c.str("/none"), 0}, told{
		Args: want{"from_dirfd": cwdText, "from": c.in("mnt"), "to_dirfd": cwdText, "to": "/none", "flags": "0"},
	})
	c.made(event.OpenTree, unix.SYS_OPEN_TREE, 428, nil, "fd", []uintptr{atCWD, c.str("mnt"), unix.OPEN_TREE_CLONE | unix.AT_RECURSIVE}, told{
		File: want{"kind": "d"}, Args: want{"fd": "*", "dirfd": cwdText, "name": c.in("mnt"), "flags": "OPEN_TREE_CLONE|AT_RECURSIVE"},
	})
	c.made(event.OpenTree, unix.SYS_OPEN_TREE, 428, unix.ENOENT, "fd", []uintptr{atCWD, c.str("none"), 0}, told{
		File: want{"kind": ""}, Args: want{"dirfd": cwdText, "name": c.in("none"), "flags": "0"},
	})
	must("umount", unix.Unmount(c.in("mnt"), unix.MNT_DETACH), nil)
}
