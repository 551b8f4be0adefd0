package event

import "strings"

// joined keeps the texts that are made of a process's arguments, because rules
// read them at every event and they change at an exec alone. What they were made
// of is kept beside them, so that a changed process is noticed.
type joined struct {
	comm, first, last string
	vector            *string
	n                 int
	cmdLine           string
}

// CmdLine is Falco's proc.cmdline: Comm and the arguments without argv[0].
// It is made once per program: replace Args as a whole, never item by item.
func (p *Process) CmdLine() string {
	if len(p.Args) == 0 {
		return p.Comm
	}
	j, last := &p.joined, len(p.Args)-1
	if j.n != len(p.Args) || j.vector != &p.Args[0] || j.comm != p.Comm || j.first != p.Args[0] || j.last != p.Args[last] {
		*j = joined{
			comm: p.Comm, first: p.Args[0], last: p.Args[last], vector: &p.Args[0], n: len(p.Args),
			cmdLine: p.Comm + " " + strings.Join(p.Args, " "),
		}
	}
	return j.cmdLine
}

// ArgsText is Falco's proc.args: the arguments without argv[0], joined by blanks.
func (p *Process) ArgsText() string {
	if len(p.Args) == 0 {
		return ""
	}
	return p.CmdLine()[len(p.Comm)+1:]
}
