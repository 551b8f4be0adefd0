package enrich

import (
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"riposte/agent/cgroupns"
	"riposte/agent/enrich/user"
	"riposte/agent/event"
)

// Pods knows the pods of this node by UID.
type Pods interface {
	Pod(uid string) (event.Pod, bool)
}

// Runtimes answers what a container is, later and through Table.Learn; see
// runtime.Lookup.
type Runtimes interface {
	// Ask says whether an answer will come. patient is for a container that the
	// runtime may know only in a moment. It never blocks.
	Ask(id string, patient bool) bool
}

// Users gives ids their names; see user.Lookup. It must not block for long.
type Users interface {
	// Names are those of a process in a container, whose full id is "" for the host.
	// What is not known is empty.
	Names(container string, p *event.Process) user.Names
}

// Options of New. The zero value is right for a live source on this machine.
type Options struct {
	// CgroupRoot is where cgroup v2 is mounted. Default: found by CgroupRoot.
	CgroupRoot string
	// Proc is where proc is mounted. Default "/proc".
	Proc string
	// Pods gives containers their pod. Default: none, then a pod has its UID alone.
	Pods Pods
	// Runtimes gives containers their metadata. Default: none, then a container has its
	// id alone.
	Runtimes Runtimes
	// Users gives processes the names of their users. Default: none.
	Users Users
	// Hosts are the domain names of an address, as the rules ask for them. Default: none.
	Hosts func(netip.Addr) []string
	// Recording replaces this machine's /proc and cgroups when events are replayed.
	Recording *Recording
	// Self is the agent's own process, whose children are its own too. Default: none.
	Self int32
	// MaxProcesses bounds the table. Default 262144.
	MaxProcesses int
	// Log is for what was skipped. Default: nothing is logged.
	Log *slog.Logger
}

// Recording is what a recorded stream of events says about its own machine.
type Recording struct {
	// Cgroups are the paths of the cgroups by id, with a leading '/'.
	Cgroups map[uint64]string
	// Processes ran when the recording began.
	Processes []Seed
}

// Seed is a process as a recording keeps it. Its Parent and Container are nil: PPID
// and CgroupID stand for them.
type Seed struct {
	Process  event.Process
	CgroupID uint64
}

const (
	defaultMaxProcesses = 1 << 18
	// keepExited is how long an ended process is remembered.
	keepExited = 10 * time.Second
	// maxEndedBytes bounds what is remembered of ended processes: each may leave up to
	// 8 KiB of arguments and environment, and there can be thousands a second.
	maxEndedBytes = 32 << 20
	// clockTick is the unit of start times in /proc.
	clockTick = uint64(10 * time.Millisecond)
)

// key is a process for as long as the machine runs.
type key struct {
	pid   int32
	start uint64
}

// entry is a process and what the table needs to keep it.
type entry struct {
	event.Process
	// coarse marks a start time from /proc, which has whole ticks.
	coarse bool
	// cgroup is the last that was seen, in the container of it; nil for the host.
	cgroup   uint64
	in       *container
	children map[*entry]struct{}
	parent   *entry
	exitNS   uint64
	// bytes is about what the entry takes, since it has ended.
	bytes int
	// placed is the table's placing when its container was looked for last.
	placed uint32
	// heir is who gets the process when its parent has ended; subreaper says that it
	// takes the orphans below it.
	heir      int32
	subreaper bool
}

// Table is the node's processes and containers. Its methods are called one at a time,
// as the pipeline does, but for Container and Counts, which any goroutine may call.
//
// What tells its clock of a change: fork, exec, exit and reparenting; name (prctl),
// users and capabilities (the setuid and setgid families, capset), directories (chdir,
// fchdir, chroot), session and group (setsid, setpgid), namespaces (setns, unshare),
// each where it differs from before; a move to another cgroup; the names of users that
// arrive; and of a container its runtime's metadata, its pod, and its first start.
type Table struct {
	o     Options
	files *procFiles // nil for a recording
	log   *slog.Logger

	byPID  map[int32]*entry
	exited map[key]*entry
	// ended lists the exited entries, oldest first; endedBytes is about what they take.
	ended      []*entry
	endedBytes int
	// orphans have lost their parent and wait for the kernel to give them another.
	orphans []*entry

	sweeper sweeper

	// clock orders all changes that a rule about a process can see.
	clock event.Clock

	cgroups cgroups
	// controllers are those of cgroup v2; fill is complete, made once.
	controllers map[string]bool
	fill        func(*event.Event)
	// legacy says that this host has cgroups v1, in which a container may be alone.
	legacy bool
	// named are containers that only their runtime knows by their cgroup's path, and
	// placing counts how often one was added.
	named   map[string]string
	placing uint32
	// early are metadata of containers that no process was seen in yet.
	early  map[string]*event.Container
	groups map[uint64]*container // by cgroup id; nil for a cgroup of the host

	mu         sync.RWMutex // guards containers, what they hold, named, and counts
	containers map[string]*container
	counts     map[string]uint64
}

// New makes an empty table. It fails where no cgroup v2 is mounted.
func New(o Options) (*Table, error) {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.MaxProcesses == 0 {
		o.MaxProcesses = defaultMaxProcesses
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &Table{
		o:          o,
		log:        o.Log,
		byPID:      map[int32]*entry{},
		exited:     map[key]*entry{},
		containers: map[string]*container{},
		counts:     map[string]uint64{"process_not_kept": 0, "process_forgotten_early": 0, "exit_missed": 0, "cgroup_unknown": 0, "metadata_forgotten": 0, "container_forgotten_early": 0},
		groups:     map[uint64]*container{},
		early:      map[string]*event.Container{},
		named:      map[string]string{},
	}
	t.fill = t.complete
	if o.Recording != nil {
		t.cgroups = newCgroups(nil, o.Recording.Cgroups)
		return t, nil
	}
	if o.CgroupRoot == "" {
		root, err := CgroupRoot()
		if err != nil {
			return nil, err
		}
		t.o.CgroupRoot = root
	}
	view, err := cgroupns.Look(t.o.CgroupRoot)
	if err != nil {
		t.log.Warn("containers of processes that run already may not be found", "error", err)
	}
	t.files = &procFiles{o.Proc, view}
	t.legacy = t.files.hasLegacy()
	t.controllers = offered(t.o.CgroupRoot)
	t.cgroups = newCgroups(&cgroupFS{root: t.o.CgroupRoot, proc: t.files}, nil)
	return t, nil
}

// Apply brings the table up to date with an event and completes the event: Proc, the
// absolute name of its file, and the texts of the parameters that name files.
func (t *Table) Apply(e *event.Event) {
	t.forget(e.KernelNS)
	t.sweep(e)
	if e.Cgroup != nil && e.Cgroup.Path != "" {
		t.cgroups.learn(e.Cgroup.ID, e.Cgroup.Path)
		t.askEarly(e.Cgroup.Path)
	}
	p := t.process(&e.Task)
	switch {
	case e.Fork != nil:
		t.fork(p, e)
	case e.Exec != nil:
		t.exec(p, e)
	case e.Change != nil:
		t.change(p, e)
	case e.Move != nil && e.Cgroup != nil:
		t.moved(e)
	case e.Type == event.ProcExit:
		t.exit(p, e.KernelNS)
	}
	if e.Type == event.Prctl {
		t.prctl(p, e)
	}
	t.refresh(p, e.KernelNS)
	e.Proc, e.Clock, e.Hosts = &p.Process, &t.clock, t.o.Hosts
	t.name(e, p)
}

// Counts are what the table could not keep or find out, by place. Any goroutine may
// call it.
func (t *Table) Counts() map[string]uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make(map[string]uint64, len(t.counts))
	maps.Copy(all, t.counts)
	return all
}

func (t *Table) count(place string) {
	t.mu.Lock()
	t.counts[place]++
	t.mu.Unlock()
}
