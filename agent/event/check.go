package event

import "strings"

// maxBelowCheck bounds how deep below a check's first process another is found to
// belong to it.
const maxBelowCheck = 32

// RunsCheck says whether the process is, or was started by, the check of its container
// that has this command line. A runtime starts a check from outside: of the process and
// its ancestors in the container, the uppermost must be the check's program and not the
// container's own first. So what a container starts itself is never taken for a check,
// whatever its command line. Where the containers of a pod share their processes, a
// container's first is not known by its number: one that has a check's command line counts
// as that check.
func (p *Process) RunsCheck(line string) bool {
	if line == "" || p.Container == nil || p.Container == Host {
		return false
	}
	top := p
	for range maxBelowCheck {
		if top.Parent == nil || top.Parent.Container != p.Container {
			return top.VPID != 1 && top.hasCommandLine(line)
		}
		top = top.Parent
	}
	return false
}

// hasCommandLine compares without making the line: most processes are no check.
func (p *Process) hasCommandLine(line string) bool {
	rest, ok := strings.CutPrefix(line, p.Exe)
	if !ok || p.Exe == "" {
		return false
	}
	for _, a := range p.Args {
		if rest, ok = strings.CutPrefix(rest, " "); !ok {
			return false
		}
		if rest, ok = strings.CutPrefix(rest, a); !ok {
			return false
		}
	}
	return rest == ""
}
