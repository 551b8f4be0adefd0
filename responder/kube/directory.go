package kube

import (
	"sync"
	"time"

	"riposte/responder/playbook"
)

// directory has the pods that exist and, for a while, those that were deleted:
// an alert may be underway when its pod goes, or wait on a node that is cut off.
type directory struct {
	keep  time.Duration
	limit int
	now   func() time.Time

	mu   sync.Mutex
	pods map[string]*playbook.Pod
	// named has the UID of the pod that has, or had last, a namespace's name; created
	// when the pods were made, by UID.
	named   map[name]string
	created map[string]time.Time
	// deleted has the UIDs in pods that no longer exist; order the same, first
	// deleted first, and maybe some that came back.
	deleted map[string]bool
	order   []departure
	early   uint64
}

type name struct{ namespace, name string }

type departure struct {
	uid    string
	forget time.Time
}

// newDirectory remembers limit deleted pods at most, each as long as keep.
func newDirectory(keep time.Duration, limit int, now func() time.Time) *directory {
	return &directory{
		keep: keep, limit: limit, now: now, pods: map[string]*playbook.Pod{}, deleted: map[string]bool{},
		named: map[name]string{}, created: map[string]time.Time{},
	}
}

// set has a pod that exists since created.
func (d *directory) set(pod *playbook.Pod, created time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	d.pods[pod.UID] = pod
	d.named[name{pod.Namespace, pod.Name}] = pod.UID
	d.created[pod.UID] = created
	delete(d.deleted, pod.UID)
}

// remove marks a pod as deleted; the first deleted is forgotten early if there are too many.
func (d *directory) remove(pod *playbook.Pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	if d.deleted[pod.UID] {
		return
	}
	if len(d.order) >= d.limit {
		d.forget()
		d.early++
	}
	d.pods[pod.UID] = pod
	d.deleted[pod.UID] = true
	d.order = append(d.order, departure{uid: pod.UID, forget: d.now().Add(d.keep)})
}

// find returns nil for a pod that is neither there nor remembered.
func (d *directory) find(uid string) *playbook.Pod {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	return d.pods[uid]
}

// findNamed returns the pod that has the name, or had it last, and when it was made.
func (d *directory) findNamed(namespace, podName string) (*playbook.Pod, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	uid := d.named[name{namespace, podName}]
	return d.pods[uid], d.created[uid]
}

// size returns how many pods exist, how many are remembered, and how many were
// forgotten early since the start.
func (d *directory) size() (pods, remembered int, early uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	return len(d.pods) - len(d.deleted), len(d.deleted), d.early
}

func (d *directory) expire() {
	now := d.now()
	for len(d.order) > 0 && !d.order[0].forget.After(now) {
		d.forget()
	}
}

// forget drops the first of order, unless the pod has come back.
func (d *directory) forget() {
	uid := d.order[0].uid
	d.order = d.order[1:]
	if d.deleted[uid] {
		if pod := d.pods[uid]; d.named[name{pod.Namespace, pod.Name}] == uid {
			delete(d.named, name{pod.Namespace, pod.Name})
		}
		delete(d.deleted, uid)
		delete(d.pods, uid)
		delete(d.created, uid)
	}
}
