package synth

import (
	"fmt"
	"strconv"
)

// task is one thread.
type task struct {
	tid, pid, ptid int64
	p              *program
	uid, tty       uint32
	c              *container
	// fds are the process's descriptors in use, a bit each, counted from firstFD.
	fds *uint64
	// busy says that a processor runs it.
	busy bool
}

// firstFD is the first descriptor after those that every process has.
const firstFD = 3

// take gives the lowest free descriptor.
func (t *task) take() int64 {
	n := int64(0)
	for *t.fds&(1<<n) != 0 {
		n++
	}
	*t.fds |= 1 << n
	return n + firstFD
}

func (t *task) give(fd int64) { *t.fds &^= 1 << (fd - firstFD) }

type container struct {
	id, pod, name string
	p             *program
	privileged    bool
	shim          *task
	main          *task
}

func (c *container) cgroup() string {
	if c == nil {
		return "cgroup=/system.slice/containerd.service\x00"
	}
	return "cgroup=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + c.pod + ".slice/cri-containerd-" + c.id + ".scope\x00"
}

// json is what the runtime says about the container.
func (c *container) json(i int) string {
	return fmt.Sprintf(`{"container":{"id":%q,"full_id":%q,"type":7,"name":%q,"image":"%s:%s","imageid":"sha256:%064x","imagerepo":%q,"imagetag":%q,`+
		`"imagedigest":"sha256:%064x","privileged":%t,"is_pod_sandbox":false,"lookup_state":1,"created_time":%d,"pod_sandbox_id":%q,"ip":"10.244.%d.%d",`+
		`"Mounts":[{"Source":"/var/lib/kubelet/pods/%s/etc-hosts","Destination":"/etc/hosts","Mode":"","RW":true,"Propagation":"private"}],`+
		`"env":["PATH=/usr/local/bin:/usr/bin:/bin","KUBERNETES_SERVICE_HOST=10.96.0.1"],`+
		`"labels":{"io.kubernetes.container.name":%q,"io.kubernetes.pod.name":"%s-%d","io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":%q}}}`,
		c.id[:12], c.id, c.name, c.p.repository, c.p.tag, i, c.p.repository, c.p.tag, i, c.privileged, beginNS/1_000_000_000-3600, c.id[:12], i>>8, i&0xff,
		c.pod, c.name, c.name, i, c.pod)
}

// populate makes the machine as the capture finds it.
func (s *stream) populate(containers int) {
	var init *task
	for _, p := range hostPrograms {
		t := s.process(p, init, nil)
		if init == nil {
			init = t
		}
	}
	for i := range containers {
		c := &container{p: images[i%len(images)], privileged: i%40 == 7}
		c.id = fmt.Sprintf("%016x%016x%016x%016x", s.rand.Uint64(), s.rand.Uint64(), s.rand.Uint64(), s.rand.Uint64())
		c.pod = fmt.Sprintf("%08x_%04x_4%03x_8%03x_%012x", s.rand.Uint32(), uint16(s.rand.Uint32()), i, i, s.rand.Uint64()&0xffffffffffff)
		c.name = c.p.comm + "-" + strconv.Itoa(i/len(images))
		c.shim = s.process(shim, init, nil)
		c.main = s.process(c.p, c.shim, c)
		s.containers = append(s.containers, c)
	}
}

// process makes a process and its threads before the capture begins.
func (s *stream) process(p *program, parent *task, c *container) *task {
	t := s.newTask(p, parent, c)
	if parent == nil {
		t.tid, t.pid = 1, 1
	}
	s.listed = append(s.listed, t)
	for range p.threads {
		also := s.newTask(p, parent, c)
		also.pid, also.fds = t.pid, t.fds
		s.listed = append(s.listed, also)
	}
	return t
}

// newTask gives a task the next number.
func (s *stream) newTask(p *program, parent *task, c *container) *task {
	s.nextTID++
	t := &task{tid: s.nextTID, pid: s.nextTID, p: p, uid: p.uid, c: c, fds: new(uint64)}
	if parent != nil {
		t.ptid = parent.pid
	}
	s.sum.Threads++
	return t
}
