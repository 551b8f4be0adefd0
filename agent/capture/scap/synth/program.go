package synth

// program is one kind of process. A path may hold one %d, which stands for a number
// below span.
type program struct {
	comm, exe, path, cwd string
	args                 []string
	uid                  uint32
	// repository and tag are of the image, empty for the host's programs.
	repository, tag string
	// serves and calls say which sockets it uses, starts that it starts programs.
	serves, calls, starts bool
	// threads are those besides the first.
	threads int
	paths   []string
	span    int
}

// hostPrograms run outside the containers, in this order from pid 1.
var hostPrograms = []*program{
	{
		comm: "systemd", exe: "/sbin/init", path: "/usr/lib/systemd/systemd", cwd: "/", span: 400,
		paths: []string{"/proc/%d/cgroup", "/proc/%d/comm", "/run/systemd/units/invocation:%d", "/sys/fs/cgroup/system.slice/memory.pressure", "/etc/machine-id"},
	},
	{
		comm: "systemd-journal", exe: "/usr/lib/systemd/systemd-journald", path: "/usr/lib/systemd/systemd-journald", cwd: "/", span: 900,
		paths: []string{"/proc/%d/status", "/proc/%d/cmdline", "/proc/%d/loginuid", "/var/log/journal/7f3c/system.journal"},
	},
	{
		comm: "containerd", exe: "/usr/bin/containerd", path: "/usr/bin/containerd", cwd: "/", threads: 20, calls: true, span: 500,
		paths: []string{
			"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/%d/fs", "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%d/config.json",
			"/var/lib/containerd/io.containerd.content.v1.content/ingest/%d/data", "/proc/self/mountinfo",
		},
	},
	{
		comm: "kubelet", exe: "/usr/bin/kubelet", path: "/usr/bin/kubelet", cwd: "/", threads: 24, calls: true, span: 600,
		args: []string{"--config=/var/lib/kubelet/config.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf", "--node-ip=10.0.0.7"},
		paths: []string{
			"/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/pod%d.slice/cpu.stat", "/var/lib/kubelet/pods/%d/volumes/kubernetes.io~projected/token/..data",
			"/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/pod%d.slice/memory.current", "/proc/%d/stat", "/etc/resolv.conf", "/proc/diskstats",
		},
	},
	{
		comm: "sshd", exe: "sshd: /usr/sbin/sshd -D", path: "/usr/sbin/sshd", cwd: "/", serves: true, span: 1,
		paths: []string{"/etc/ssh/sshd_config", "/etc/hosts.allow", "/proc/self/oom_score_adj"},
	},
	{
		comm: "node_exporter", exe: "/usr/bin/node_exporter", path: "/usr/bin/node_exporter", cwd: "/", threads: 8, serves: true, uid: 998, span: 16,
		paths: []string{
			"/proc/stat", "/proc/meminfo", "/proc/net/dev", "/proc/loadavg", "/sys/class/hwmon/hwmon%d/temp1_input", "/proc/vmstat",
			"/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", "/proc/net/netstat", "/proc/pressure/memory",
		},
	},
}

// shim is the parent of a container's processes.
var shim = &program{
	comm: "containerd-shim", exe: "/usr/bin/containerd-shim-runc-v2", path: "/usr/bin/containerd-shim-runc-v2", cwd: "/run/containerd", threads: 2,
	args: []string{"-namespace", "k8s.io", "-address", "/run/containerd/containerd.sock"}, starts: true, span: 300,
	paths: []string{"/run/containerd/io.containerd.runtime.v2.task/k8s.io/%d/init.pid", "/sys/fs/cgroup/cgroup.controllers", "/proc/%d/cgroup"},
}

// images are the programs of the containers.
var images = []*program{
	{
		comm: "nginx", exe: "nginx: worker process", path: "/usr/sbin/nginx", cwd: "/", uid: 101, repository: "docker.io/library/nginx", tag: "1.27", serves: true, calls: true,
		span: 700, paths: []string{"/usr/share/nginx/html/assets/%d.js", "/usr/share/nginx/html/img/%d.webp", "/etc/nginx/conf.d/default.conf", "/var/cache/nginx/proxy/%d"},
	},
	{
		comm: "java", exe: "/usr/lib/jvm/java-21/bin/java", path: "/usr/lib/jvm/java-21/bin/java", cwd: "/app", uid: 1000, repository: "registry.example.com/shop/orders",
		tag: "4.18.2", serves: true, calls: true, starts: true, threads: 3, span: 500,
		args: []string{"-Xmx2g", "-XX:+UseG1GC", "-jar", "/app/orders.jar", "--spring.profiles.active=production"},
		paths: []string{
			"/app/lib/dependency-%d.jar", "/tmp/hsperfdata_app/%d", "/proc/self/stat", "/sys/fs/cgroup/memory.max", "/app/config/application.yaml",
			"/usr/lib/jvm/java-21/lib/modules",
		},
	},
	{
		comm: "python3", exe: "python3", path: "/usr/bin/python3.12", cwd: "/srv/app", uid: 1000, repository: "registry.example.com/shop/recommend", tag: "2026.7",
		serves: true, calls: true, starts: true, threads: 1, span: 600, args: []string{"-m", "gunicorn", "--workers=4", "shop.wsgi:application"},
		paths: []string{
			"/usr/lib/python3/dist-packages/module%d/__init__.py", "/usr/lib/python3/dist-packages/module%d/__pycache__/core.cpython-312.pyc", "templates/page%d.html",
			"/etc/localtime", "/dev/urandom", "/usr/share/zoneinfo/UTC",
		},
	},
	{
		comm: "node", exe: "node", path: "/usr/local/bin/node", cwd: "/usr/src/app", uid: 1000, repository: "registry.example.com/shop/web", tag: "v9",
		serves: true, calls: true, starts: true, span: 900, args: []string{"--max-old-space-size=512", "server.js"},
		paths: []string{"/usr/src/app/node_modules/pkg%d/index.js", "/usr/src/app/node_modules/pkg%d/package.json", "public/%d.css", "/etc/ssl/openssl.cnf"},
	},
	{
		comm: "redis-server", exe: "redis-server *:6379", path: "/usr/local/bin/redis-server", cwd: "/data", uid: 999, repository: "docker.io/library/redis", tag: "7.4",
		serves: true, span: 40, paths: []string{"/proc/self/smaps", "temp-%d.rdb", "/data/appendonlydir/appendonly.aof.%d.incr.aof", "/proc/self/stat"},
	},
	{
		comm: "postgres", exe: "postgres: checkpointer", path: "/usr/lib/postgresql/17/bin/postgres", cwd: "/var/lib/postgresql/data", uid: 999,
		repository: "docker.io/library/postgres", tag: "17", serves: true, span: 800,
		paths: []string{"base/16384/%d", "pg_wal/0000000100000000000000%d", "global/pg_filenode.map", "/dev/shm/PostgreSQL.%d", "pg_stat_tmp/global.stat"},
	},
	{
		comm: "envoy", exe: "/usr/local/bin/envoy", path: "/usr/local/bin/envoy", cwd: "/", uid: 1337, repository: "docker.io/envoyproxy/envoy", tag: "v1.34",
		serves: true, calls: true, threads: 2, span: 60, args: []string{"-c", "/etc/envoy/envoy.yaml", "--concurrency", "2"},
		paths: []string{"/etc/envoy/certs/%d.pem", "/proc/self/statm", "/sys/fs/cgroup/cpu.max", "/etc/hosts"},
	},
	{
		comm: "fluent-bit", exe: "/fluent-bit/bin/fluent-bit", path: "/fluent-bit/bin/fluent-bit", cwd: "/", repository: "docker.io/fluent/fluent-bit", tag: "4.0",
		calls: true, span: 700, args: []string{"-c", "/fluent-bit/etc/fluent-bit.conf"},
		paths: []string{"/var/log/containers/app-%d.log", "/var/log/pods/shop_app_%d/app/0.log", "/var/lib/fluent-bit/tail.db", "/etc/resolv.conf"},
	},
	{
		comm: "coredns", exe: "/coredns", path: "/coredns", cwd: "/", uid: 65532, repository: "registry.k8s.io/coredns/coredns", tag: "v1.12", serves: true, calls: true,
		threads: 1, span: 10, args: []string{"-conf", "/etc/coredns/Corefile"}, paths: []string{"/etc/coredns/Corefile", "/etc/resolv.conf", "/proc/sys/net/core/somaxconn"},
	},
}

// starters are what the programs start: probes, health checks, small scripts.
var starters = []*program{
	{comm: "sh", exe: "/bin/sh", path: "/bin/dash", args: []string{"-c", "curl -sf http://127.0.0.1:8080/healthz || exit 1"}},
	{comm: "curl", exe: "curl", path: "/usr/bin/curl", args: []string{"-sf", "http://127.0.0.1:8080/healthz"}},
	{comm: "cat", exe: "cat", path: "/usr/bin/cat", args: []string{"/tmp/healthy"}},
	{comm: "grpc_health_pro", exe: "/bin/grpc_health_probe", path: "/bin/grpc_health_probe", args: []string{"-addr=:50051"}},
	{comm: "date", exe: "date", path: "/usr/bin/date", args: []string{"+%s"}},
	{comm: "python3", exe: "/usr/bin/python3", path: "/usr/bin/python3.12", args: []string{"/srv/app/manage.py", "collect", "--quiet"}},
	{comm: "grep", exe: "grep", path: "/usr/bin/grep", args: []string{"-c", "processor", "/proc/cpuinfo"}},
	{comm: "git", exe: "git", path: "/usr/bin/git", args: []string{"rev-parse", "--short", "HEAD"}},
	{comm: "tar", exe: "tar", path: "/usr/bin/tar", args: []string{"-C", "/tmp", "-xf", "/srv/cache/layer.tar"}},
}
