package scap_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// read is what a field has for an event, as an output shows it.
func read(t *testing.T, e *event.Event, name string) string {
	o, _, err := syntax.ParseField(name)
	require.NoError(t, err)
	ref, err := field.Resolve(o.(*syntax.Field))
	require.NoError(t, err)
	return ref.Type.Format(ref.Read(e))
}

// fields replays a file and reads the fields of its last event.
func fields(t *testing.T, f *file, want map[string]string) {
	t.Helper()
	s, err := scap.Open(bytes.NewReader(f.Bytes()), scap.Options{})
	require.NoError(t, err)
	got := map[string]string{}
	require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
		for name := range want {
			got[name] = read(t, e, name)
		}
	}))
	require.Equal(t, want, got)
}

const metadata = `{"container":{"id":"0123456789ab","full_id":"` + containerID + `","type":7,"name":"web","image":"nginx:1","imagerepo":"nginx",
"imagetag":"1","imagedigest":"sha256:1","privileged":false,"ip":"10.244.0.9","created_time":1700000000,"host_pid":true,"host_network":false,
"env":["A=b"],"labels":{"app":"web","io.kubernetes.pod.name":"p"},"pod_sandbox_id":"abcdefabcdefabcdef","pod_sandbox_labels":{"tier":"front","io.kubernetes.x":"y"},
"Mounts":[{"Source":"/var/lib/data","Destination":"/data","Mode":"z","RW":true,"Propagation":"rprivate"},{"Source":"/etc/hosts","Destination":"/etc/hosts","Mode":"","RW":false,"Propagation":""}],
"Healthcheck":{"exe":"/bin/check","args":["-q","now"]}}}`

func TestContainerFields(t *testing.T) {
	f := newFile(false)
	f.event(0, 324, metadata)
	f.event(60, 223, child(0, 60, 60, 50, 0, 1000)...)
	fields(t, f, map[string]string{
		"container.type": "containerd", "container.ip": "10.244.0.9", "container.host_pid": "true", "container.host_network": "false", "container.host_ipc": "<NA>",
		"container.privileged": "false", "container.label[app]": "web", "container.label[none]": "<NA>", "container.labels": "app:web, io.kubernetes.pod.name:p",
		"container.mounts":              "/var/lib/data:/data:z:true:rprivate,/etc/hosts:/etc/hosts::false:",
		"container.mount[0]":            "/var/lib/data:/data:z:true:rprivate",
		"container.mount[2]":            "<NA>",
		"container.mount[/var/*]":       "/var/lib/data:/data:z:true:rprivate",
		"container.mount.source[/data]": "/var/lib/data", "container.mount.dest[/var/lib/data]": "/data", "container.mount.dest[/var/lib]": "<NA>",
		"container.mount.mode[0]": "z", "container.mount.rdwr[/etc/*]": "false", "container.mount.propagation[0]": "rprivate",
		"container.healthcheck": "/bin/check -q now", "container.liveness_probe": "NONE", "container.image.digest": "sha256:1",
		"k8s.pod.sandbox_id": "abcdefabcdef", "k8s.pod.full_sandbox_id": "abcdefabcdefabcdef", "k8s.pod.ip": "10.244.0.9", "k8s.pod.labels": "tier:front",
	})
}

// TestOddMetadata has values of other types: they are missing, the others are there.
func TestOddMetadata(t *testing.T) {
	f := newFile(false)
	f.event(0, 324, `{"container":{"id":"0123456789ab","type":"docker","name":"web","ip":7,"env":null,"labels":[1],"Mounts":{"a":1},"host_pid":"yes","Healthcheck":3,"created_time":"x"}}`)
	f.event(60, 223, child(0, 60, 60, 50, 0, 1000)...)
	fields(t, f, map[string]string{
		"container.name": "web", "container.ip": "<NA>", "container.labels": "<NA>", "container.mounts": "<NA>", "container.host_pid": "<NA>",
		"container.healthcheck": "NONE",
	})
}

// TestDetailsAreBounded has more labels than are kept.
func TestDetailsAreBounded(t *testing.T) {
	f := newFile(false)
	long := strings.Repeat("x", 7<<20)
	for _, id := range []string{"a", "b", "c"} {
		f.event(0, 324, `{"container":{"id":"`+strings.Repeat(id, 12)+`","env":["`+long+`"]}}`)
	}
	_, s, err := replay(t, f.Bytes())
	require.NoError(t, err)
	require.Equal(t, uint64(1), s.Lost()["container_details_not_kept"])
}

func TestProcessFields(t *testing.T) {
	f := newFile(false)
	f.users(map[uint32]string{1000: "eve"})
	f.tasks(
		task{tid: 1, pid: 1, comm: "init", exe: "/sbin/init", cwd: "/", env: "INIT=1\x00"},
		task{tid: 50, pid: 50, ptid: 1, comm: "bash", exe: "-bash", cwd: "/home/eve", uid: 1000, env: "A=1\x00B=2\x00", group: "cpu=/a\x00memory=/b\x00"},
		task{tid: 51, pid: 50, ptid: 1, comm: "bash", exe: "-bash", cwd: "/home/eve", uid: 1000},
	)
	f.descriptors(50, listedFile(0, "/dev/pts/0"), listedFile(1, "/tmp/out"))
	f.event(50, 19, int64(2), uint32(2), uint32(1), uint32(0))
	f.event(50, 223, child(60, 50, 50, 1, 0, 1000)...)
	f.event(50, 71, int64(0), int64(1))
	fields(t, f, map[string]string{
		"proc.stdin.name": "/dev/pts/0", "proc.stdin.type": "file", "proc.stdout.name": "/tmp/out", "proc.stderr.type": "ipv4",
		"proc.fdopencount": "3", "proc.fdlimit": "1024", "proc.fdusage": "0.29296875", "proc.nthreads": "2", "proc.nchilds": "1", "fd.types": "(file,ipv4)", "fd.types[2]": "(ipv4)",
		"fd.types[9]": "<NA>", "user.homedir": "/home", "user.shell": "/bin/sh", "thread.vtid": "50", "thread.cgroups": "cpu=/a memory=/b", "thread.cgroup.memory": "/b",
		"thread.cgroup.cpuset": "<NA>", "proc.aenv[INIT]": "1", "proc.aenv[1]": "INIT=1", "proc.aenv[A]": "<NA>", "proc.aenv": "INIT=1", "evt.reltime": "2000000", "evt.deltatime": "1000000",
		"evt.reltime.s": "0", "proc.exe_ino.ctime": "<NA>", "proc.vmsize": "0",
	})
}

func TestProgramFields(t *testing.T) {
	f := newFile(false)
	p := program(0, "/bin/x", "-a\x00", 60, 50, cgroups, 0)
	p[10], p[11], p[19] = uint32(4200), uint32(900), uint32(8)
	p[24], p[25] = uint64(bootNS+1_000_000), uint64(bootNS)
	c := child(0, 60, 60, 50, 0, 1000)
	f.event(60, 223, append(c, uint64(bootNS))...)
	f.event(60, 293, p...)
	fields(t, f, map[string]string{
		"proc.vmsize": "4200", "proc.vmrss": "900", "thread.vmsize": "4200", "proc.is_exe_lower_layer": "true", "proc.is_exe_upper_layer": "false",
		"proc.exe_ino.ctime": "1700000000001000000", "proc.exe_ino.mtime": "1700000000000000000", "proc.pidns_init_start_ts": "1700000000000000000",
		"proc.exe_ino.ctime_duration_pidns_start": "1000000", "proc.exe_ino.ctime_duration_proc_start": "5000000000", "container.start_ts": "1700000000000000000",
		"container.duration": "5002000000", "proc.fdlimit": "1024",
	})
}

func TestPathFields(t *testing.T) {
	for name, c := range map[string]struct {
		num    uint16
		params []any
		want   [3]string
		raw    [3]string
	}{
		"rename":  {319, []any{int64(0), int64(-100), "a/../b", int64(-100), "/c", uint32(0)}, [3]string{"<NA>", "/home/eve/b", "/c"}, [3]string{"<NA>", "a/../b", "/c"}},
		"failed":  {319, []any{int64(-2), int64(-100), "a", int64(-100), "/c", uint32(0)}, [3]string{"<NA>", "<NA>", "<NA>"}, [3]string{"<NA>", "<NA>", "<NA>"}},
		"symlink": {181, []any{int64(0), "old", int64(-100), "new"}, [3]string{"<NA>", "/home/eve/new", "/home/eve/old"}, [3]string{"<NA>", "new", "old"}},
		"unlink":  {303, []any{int64(0), int64(9), "x", uint32(0)}, [3]string{"/etc/x", "<NA>", "<NA>"}, [3]string{"x", "<NA>", "<NA>"}},
		"open":    {307, []any{int64(-13), int64(-100), "x", uint32(1), uint32(0), uint32(0), uint64(0)}, [3]string{"/home/eve/x", "<NA>", "<NA>"}, [3]string{"x", "<NA>", "<NA>"}},
		"close":   {5, []any{int64(0), int64(9)}, [3]string{"<NA>", "<NA>", "<NA>"}, [3]string{"<NA>", "<NA>", "<NA>"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(false)
			f.tasks(task{tid: 50, pid: 50, ptid: 1, comm: "bash", cwd: "/home/eve"})
			f.descriptors(50, listedFile(9, "/etc"))
			f.event(50, c.num, c.params...)
			fields(t, f, map[string]string{
				"fs.path.name": c.want[0], "fs.path.source": c.want[1], "fs.path.target": c.want[2],
				"fs.path.nameraw": c.raw[0], "fs.path.sourceraw": c.raw[1], "fs.path.targetraw": c.raw[2],
			})
		})
	}
}

func TestBuffer(t *testing.T) {
	f := newFile(false)
	f.tasks(task{tid: 50, pid: 50, ptid: 1, comm: "bash", cwd: "/"})
	f.descriptors(50, listedFile(3, "/dev/log"))
	f.event(50, 9, int64(4), []byte("a\x00b\xff"), int64(3), uint32(4))
	fields(t, f, map[string]string{"evt.buffer": "a\x00b\xff", "evt.buflen": "4", "evt.is_syslog": "true", "evt.arg.data": "a.b."})
}

func TestLayers(t *testing.T) {
	f := newFile(false)
	f.event(50, 307, int64(3), int64(-100), "/x", uint32(1|1<<16), uint32(0), uint32(0), uint64(0))
	fields(t, f, map[string]string{"fd.is_lower_layer": "true", "fd.is_upper_layer": "false"})
}
