package event

// Process is one entry of the process table.
type Process struct {
	PID, PPID int32
	// StartNS is the start since boot; (PID, StartNS) is unique while the machine runs.
	StartNS uint64
	// StartKnown is false for a process older than the agent: proc.duration is missing then.
	StartKnown bool
	VPID       int32
	VPGID      int32
	SID, PGID  int32
	// Comm is the kernel's 15-character name, Exe is argv[0], ExePath the binary's path.
	Comm    string
	Exe     string
	ExePath string
	// Args excludes argv[0].
	Args          []string
	ArgsTruncated bool
	// CWD is the working directory; Root is "/" unless the process has called chroot.
	CWD, Root string
	// UID and GID are the real ids, EUID and EGID the effective ones, all of them as
	// the host counts them.
	UID, GID   uint32
	EUID, EGID uint32
	// LoginUID is 4294967295 when nobody logged in.
	LoginUID uint32
	// TTY is the terminal's device number, 0 for none.
	TTY uint32

	// ExeUpperLayer and ExeLowerLayer say where in an overlay the binary lies.
	ExeUpperLayer, ExeLowerLayer, ExeMemfd, ExeWritable bool
	ExeIno                                              uint64
	// ExeCtimeNS and ExeMtimeNS are of the binary's inode, Unix nanoseconds; 0 where
	// they are not known.
	ExeCtimeNS, ExeMtimeNS int64

	// Namespaces are numbered as in /proc/PID/ns, 0 where they are not known.
	Namespaces Namespaces

	// User (with its Home and Shell), LoginUser and Group are names by the process's
	// own lists, empty where they are not known.
	User, Home, Shell, LoginUser, Group string
	// Env is the environment as NAME=value, nil where it is not known.
	Env  []string
	Caps Capabilities

	// Threads counts the threads, 0 where they are not counted.
	Threads int32
	// Resources is nil where it is not known. Processes may share it: replace it as a
	// whole.
	Resources *Resources

	// Parent is nil when it is not known or has gone.
	Parent *Process
	// Container is never nil: Host stands for no container.
	Container *Container
	// Own says that the agent has started it, or something that the agent has started,
	// and that it is in the agent's container still.
	Own bool
	// Exited marks an entry that is kept for late events.
	Exited bool
	// Verdicts belongs to whoever evaluates rules.
	Verdicts Verdicts
	// Interest belongs to whoever tells the kernel what is still wanted.
	Interest Interest `json:"-"`

	joined joined
	// changed is the clock at the last change; hasChild says that there was ever a child.
	changed  uint64
	hasChild bool
}

// Resources are what a capture file tells of a process's limits and use, as of its
// last fork or exec.
type Resources struct {
	// FDLimit is how many descriptors may be open.
	FDLimit int64
	// VMSize, VMRSS and VMSwap are in kB.
	VMSize, VMRSS, VMSwap uint64
	// MajorFaults and MinorFaults are the page faults so far.
	MajorFaults, MinorFaults uint64
	// NamespaceStartNS is the start of the pid namespace's first process, Unix
	// nanoseconds, 0 where it is not known.
	NamespaceStartNS uint64
	// Cgroups are "subsystem=path", one for each hierarchy.
	Cgroups []string
}

// Capabilities are sets of bits by the kernel's numbers.
type Capabilities struct {
	Known                             bool
	Inheritable, Permitted, Effective uint64
}

// Container is one container, shared by its processes.
type Container struct {
	// ID is the runtime's full id, empty for the host.
	ID       string
	CgroupID uint64
	// Cgroup is the container's cgroup v2 path below the root, with a leading '/'.
	Cgroup string
	// StartNS is the start of the first process seen in it, since boot.
	StartNS uint64
	// Metadata says how far the runtime's answer is; what follows is empty without it.
	Metadata                     Metadata
	Name, Image, Repository, Tag string
	ImageID, ImageDigest         string
	Privileged                   Known
	// Type is the runtime under Falco's name: docker, containerd, cri-o or podman.
	Type   string
	Mounts []ContainerMount
	Labels map[string]string
	// Env is the environment that the runtime was asked for, as NAME=value.
	Env []string
	IP  string
	// CreatedNS and StartTS are when the runtime made and started it, Unix
	// nanoseconds; 0 where it does not say.
	CreatedNS, StartTS            int64
	HostPID, HostNetwork, HostIPC Known
	// Healthcheck, Liveness and Readiness are the command lines by which the runtime or
	// kubelet looks whether the container is well; see Process.RunsCheck.
	Healthcheck, Liveness, Readiness string
	// Pod is nil outside Kubernetes.
	Pod *Pod

	changed uint64
}

// ContainerMount is one mount of a container, as its runtime was asked for it. (Mount is an event.)
type ContainerMount struct {
	Source, Destination string
	// Mode are the runtime's options, such as "z"; empty for none.
	Mode        string
	RW          bool
	Propagation string
}

// Metadata is how far the runtime's word on a container is.
type Metadata uint8

// A container's metadata is asked for from no one, or no runtime knows the container
// (MetadataNone); an answer is awaited, for which the rules may wait (MetadataAwaited);
// the answer did not come in time or could not be had, and may still come
// (MetadataLate); or it is there (MetadataKnown).
const (
	MetadataNone Metadata = iota
	MetadataAwaited
	MetadataLate
	MetadataKnown
)

// Known is a truth that may not be known.
type Known uint8

// The values of Known.
const (
	NotKnown Known = iota
	No
	Yes
)

// Host stands for processes outside any container.
var Host = &Container{}

// ShortID is Falco's container.id: 12 characters, or "host".
func (c *Container) ShortID() string {
	switch {
	case c == Host || c.ID == "":
		return "host"
	case len(c.ID) > 12:
		return c.ID[:12]
	}
	return c.ID
}

// Pod is the Kubernetes pod of a container. UID is from the cgroup's path or the
// runtime, the names from the runtime or the API server, Owner from the API server
// alone; what is not known yet is empty.
type Pod struct {
	UID, Namespace, Name string
	Labels               map[string]string
	// Owner is the controller as "Kind/name".
	Owner string
	// SandboxID is the runtime's full id of the pod's sandbox.
	SandboxID string
	// Probes are those of its containers that run a program, by the container's name.
	Probes map[string]Probes
}

// Probes are the command lines of a container's probes, empty where it has none that runs
// a program.
type Probes struct{ Liveness, Readiness string }
