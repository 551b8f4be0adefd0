// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// A file's own path, from the kernel's objects: dentry by dentry up to the mount's
// root, over to the mount point, and on up to the root of the task. And what else
// the file's inode says.
#pragma once

#include "task.h"

// Steps are path components and crossed mounts together. The longest path that a call
// takes has 2048 components; a loop that the verifier follows to its end cannot be
// that long.
#define WALK_STEPS_TYPED 2048
#define WALK_STEPS_RAW 96

#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFSOCK 0140000
#define OVERLAY_MAGIC 0x794c7630
#define ANON_INODE_MAGIC 0x09041934
#define PIDFS_MAGIC 0x50494446
#define FMODE_CREATED 0x100000

// Puts "/name" before what the buffer holds. False: it does not fit.
static __always_inline bool prepend(const bool typed, struct scratch *s, struct dentry *dentry,
				    __u32 *at)
{
	__u32 len = GET(dentry, d_name.len);
	const unsigned char *name = GET(dentry, d_name.name);
	__u32 to;

	if (len > NAME_SIZE_MAX || *at < len + 1)
		return false;
	to = (*at - len - 1) & (TEXT_MAX - 1);
	s->path[to] = '/';
	bpf_probe_read_kernel(&s->path[to + 1], len & NAME_SIZE_MAX, name);
	*at = to;
	return true;
}

// Where a walk stands. Addresses are plain numbers, each given its type when it is
// followed: so the state looks the same to the verifier at every step, and one check
// of a step serves for all.
struct walk {
	struct scratch *s;
	__u64 dentry;
	__u64 mount;
	__u64 top;  // the mount's own root dentry
	__u64 root; // where the task's root is
	__u64 root_mount;
	__u32 at;
	__u32 done;
};

// One step; 1 ends the walk.
static __always_inline long step(const bool typed, struct walk *w)
{
	struct dentry *dentry;
	__u64 up;

	if (w->dentry == w->root && w->mount == w->root_mount) {
		w->done = 1;
		return 1;
	}
	if (w->dentry == w->top) {
		struct mount *mount = CAST(struct mount, w->mount);

		up = ADDRESS(mount, mnt_parent);
		if (up == w->mount) {
			w->done = 1;
			return 1;
		}
		w->dentry = (__u64)GET(mount, mnt_mountpoint);
		w->mount = up;
		mount = CAST(struct mount, up);
		w->top = (__u64)GET(mount, mnt.mnt_root);
		return 0;
	}
	dentry = CAST(struct dentry, w->dentry);
	if (!prepend(typed, w->s, dentry, &w->at))
		return 1;
	up = (__u64)GET(dentry, d_parent);
	if (up == w->dentry) { // a file without a directory, as memfd makes
		w->done = 1;
		return 1;
	}
	w->dentry = up;
	return 0;
}

static long step_typed(__u32 i, void *w)
{
	(void)i;
	return step(true, w);
}

// The root of the file system that the path is in.
static __always_inline __u64 own_root(const bool typed, struct path *path)
{
	struct dentry *dentry = CAST(struct dentry, ADDRESS(path, dentry));
	struct super_block *sb = GET(dentry, d_sb);

	return ADDRESS(sb, s_root);
}

// What a walk does with mounts: it crosses them up to the task's root, or with no task
// to the top of all; or it stays within the file system.
#define WITHIN ((struct task_struct *)1)

// Walks from the path up and leaves the text in the scratch. Returns the marks. Typed programs run
// on kernels that have bpf_loop (5.17), the others need a loop that the verifier follows to its
// end.
static __always_inline __u32 walk(const bool typed, struct scratch *s, struct path *path,
				  struct task_struct *task)
{
	__u64 inside = FIELD_OFFSET(struct mount, mnt);
	struct mount *mount;
	struct walk w = {
	    .s = s,
	    .dentry = ADDRESS(path, dentry),
	    .mount = ADDRESS(path, mnt) - inside,
	    .at = TEXT_MAX - 1,
	};

	if (task == WITHIN) {
		w.root = own_root(typed, path);
		w.root_mount = w.mount;
	} else if (task) {
		struct fs_struct *fs = GET(task, fs);

		if (!fs)
			return 0;
		w.root = ADDRESS(fs, root.dentry);
		w.root_mount = ADDRESS(fs, root.mnt) - inside;
	}
	if (task != WITHIN) {
		mount = CAST(struct mount, w.mount);
		w.top = (__u64)GET(mount, mnt.mnt_root);
	}
	if (typed) {
		bpf_loop(WALK_STEPS_TYPED, step_typed, &w, 0);
	} else {
		for (int i = 0; i < WALK_STEPS_RAW; i++)
			if (step(false, &w))
				break;
	}
	if (w.at >= TEXT_MAX - 1) {
		w.at = TEXT_MAX - 2;
		s->path[w.at] = '/';
	}
	s->path_at = w.at;
	s->path_len = TEXT_MAX - 1 - w.at;
	if (w.done)
		return 0;
	lose(LOSS_PATH_CUT);
	return MARK_PATH_CUT;
}

static __noinline __u32 walk_typed(struct scratch *s, struct path *path, struct task_struct *task)
{
	return walk(true, s, path, task);
}

// Not static, so that the verifier checks it once and not at every call. Such a
// function is handed numbers only.
__noinline __u32 walk_raw(__u32 slot, __u64 path, __u64 task)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 0;
	return walk(false, s, (struct path *)path, (struct task_struct *)task);
}

// Appends the path of the last walk to the record and returns its length.
static __always_inline __u16 put_walked(struct scratch *s, __u32 fixed)
{
	__u32 at = s->path_at & (TEXT_MAX - 1);
	__u32 len = s->path_len & (TEXT_MAX - 1);
	__u32 to = room(s);

	bpf_probe_read_kernel(&s->out[fixed + to], len, &s->path[at]);
	s->used = to + len;
	return len;
}

// Appends a file's path to the record and returns its length. Without a task it is the
// path from the top of the mounts.
static __always_inline __u16 put_path(const bool typed, struct scratch *s, __u32 fixed,
				      struct path *path, struct task_struct *task, __u32 *marks)
{
	*marks |= typed ? walk_typed(s, path, task) : walk_raw(s->slot, (__u64)path, (__u64)task);
	return put_walked(s, fixed);
}

// Whether the path was reached by a mount of a mere part of the file system that is
// the task's root: then the file has another name there.
static __always_inline bool is_bound(const bool typed, struct path *path, struct task_struct *task)
{
	struct vfsmount *mount = CAST(struct vfsmount, ADDRESS(path, mnt));
	struct fs_struct *fs = GET(task, fs);
	__u64 top = ADDRESS(mount, mnt_root);
	__u64 root = own_root(typed, path);

	return top != root && fs && ADDRESS(fs, root.dentry) == root;
}

// Which layer of an overlay holds the file. The pointer to the upper layer's dentry
// has followed the inode in the overlay's own structure since 4.x; its type is in a
// module's BTF, which CO-RE does not search, hence the size of struct inode.
static __always_inline __u32 layer(const bool typed, struct inode *inode)
{
	struct super_block *sb = GET(inode, i_sb);
	__u64 upper = 0;

	if (GET(sb, s_magic) != OVERLAY_MAGIC)
		return 0;
	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + TYPE_SIZE(struct inode));
	return upper ? MARK_UPPER : MARK_LOWER;
}

// memfd_create makes a regular file with no directory and this prefix.
static __always_inline bool is_memfd(const bool typed, struct file *file, struct inode *inode)
{
	struct dentry *dentry = GET(file, f_path.dentry);
	const unsigned char *name;
	char head[8] = {};

	if ((GET(inode, i_mode) & S_IFMT) != S_IFREG || GET(inode, i_nlink) != 0)
		return false;
	if (GET(dentry, d_parent) != dentry)
		return false;
	name = GET(dentry, d_name.name);
	bpf_probe_read_kernel(head, 6, name);
	return head[0] == 'm' && head[1] == 'e' && head[2] == 'm' && head[3] == 'f' &&
	       head[4] == 'd' && head[5] == ':';
}

// An object that is a file only for having a descriptor: epoll, io_uring, pidfd and the
// like.
static __always_inline bool nameless(const bool typed, struct inode *inode)
{
	struct super_block *sb = GET(inode, i_sb);
	unsigned long magic = GET(sb, s_magic);

	return magic == ANON_INODE_MAGIC || magic == PIDFS_MAGIC;
}

static __always_inline __u32 file_marks(const bool typed, struct file *file, struct inode *inode)
{
	__u32 marks = layer(typed, inode);

	if (is_memfd(typed, file, inode))
		marks |= MARK_MEMFD;
	else if (nameless(typed, inode))
		marks |= MARK_ANONYMOUS;
	else if (GET(inode, i_nlink) == 0)
		marks |= MARK_UNLINKED;
	if (GET(file, f_mode) & FMODE_CREATED)
		marks |= MARK_CREATED;
	return marks;
}

static __always_inline __u32 device_of(const bool typed, struct inode *inode)
{
	struct super_block *sb = GET(inode, i_sb);
	__u32 dev = GET(sb, s_dev);

	return device(dev >> 20, dev & 0xfffff);
}

// The file behind a descriptor of the task, or 0.
static __always_inline struct file *file_at(const bool typed, struct task_struct *task, __u32 fd)
{
	struct files_struct *files = GET(task, files);
	struct fdtable *table;
	__u64 array, file = 0;

	if (!files)
		return 0;
	table = GET(files, fdt);
	if (fd >= GET(table, max_fds))
		return 0;
	array = ADDRESS(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), (void *)(array + (__u64)fd * sizeof(file)));
	if (!file)
		return 0;
	return CAST(struct file, file);
}
