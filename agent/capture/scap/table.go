package scap

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"riposte/agent/capture/flag"
	"riposte/agent/event"
)

//go:embed events.txt
var eventText string

// kind is a parameter's type.
type kind uint8

// The kinds that are treated each in their own way; the others are numbers.
const (
	kindNumber kind = iota
	kindSigned
	kindErrno
	kindFD
	kindPID
	kindUID
	kindGID
	kindText
	kindPath
	// kindRelative is a path that counts from the descriptor in the parameter before.
	kindRelative
	kindBytes
	kindFlags
	kindEnum
	kindOctal
	kindHex
	kindAddr
	kindTuple
	kindDynamic
	kindCall
	kindOther
)

var kinds = map[string]kind{
	"errno": kindErrno, "fd": kindFD, "pid": kindPID, "uid": kindUID, "gid": kindGID, "charbuf": kindText, "fspath": kindPath,
	"fsrelpath": kindRelative, "bytebuf": kindBytes, "flags8": kindFlags, "flags16": kindFlags, "flags32": kindFlags, "mode": kindFlags,
	"enumflags8": kindEnum, "enumflags16": kindEnum, "enumflags32": kindEnum, "sockaddr": kindAddr, "socktuple": kindTuple,
	"dyn": kindDynamic, "syscallid": kindCall, "int16": kindSigned, "int32": kindSigned, "int64": kindSigned,
	"fdlist": kindOther, "charbufarray": kindOther, "charbuf_pair_array": kindOther,
}

type param struct {
	name  string
	kind  kind
	flags flag.Table
}

// eventType is one event number. An exit's params are followed by those that only
// its entry has: older captures say less at the exit.
type eventType struct {
	num   uint16
	typ   event.Type
	large bool
	// exit is set for a call's exit, alone for an event that has no entry and exit.
	exit, alone bool
	// notice is set for events that may be about the machine, not about a process.
	notice bool
	params []param
	// own is the number of params of the exit itself; from maps params to those of
	// the entry, -1 for none.
	own   int
	entry *eventType
	from  []int8
	// at is where a known parameter stands, -1 for nowhere.
	at [slots]int8
}

// slot names a parameter that the reader itself has to look at.
type slot uint8

// The slots; slotNames has their parameters' names.
const (
	pRes slot = iota
	pFD
	pName
	pPath
	pDirfd
	pFlags
	pMode
	pDev
	pIno
	pTuple
	pAddr
	pDomain
	pType
	pProto
	pOldfd
	pNewfd
	pFD1
	pFD2
	pExe
	pArgs
	pTID
	pPID
	pPTID
	pCWD
	pComm
	pCgroups
	pEnv
	pTTY
	pVPGID
	pPGID
	pLoginUID
	pUID
	pGID
	pEUID
	pEGID
	pRUID
	pVTID
	pVPID
	pExeIno
	pTrusted
	pFilename
	pPathname
	pCmd
	pArg
	pStatus
	pReaper
	pOption
	pArg2
	pJSON
	pHome
	pShell
	pContainerID
	pData
	pCapI
	pCapP
	pCapE
	pCreatFlags
	pRequest
	pID
	pFDLimit
	pVMSize
	pVMRSS
	pVMSwap
	pMajor
	pMinor
	pCtime
	pMtime
	pNamespaceStart
	slots
)

var slotNames = [slots]string{
	"res", "fd", "name", "path", "dirfd", "flags", "mode", "dev", "ino", "tuple", "addr", "domain", "type", "proto", "oldfd", "newfd",
	"fd1", "fd2", "exe", "args", "tid", "pid", "ptid", "cwd", "comm", "cgroups", "env", "tty", "vpgid", "pgid", "loginuid", "uid", "gid",
	"euid", "egid", "ruid", "vtid", "vpid", "exe_ino", "trusted_exepath", "filename", "pathname", "cmd", "arg", "status", "reaper_tid",
	"option", "arg2_str", "json", "home", "shell", "container_id", "data", "cap_inheritable", "cap_permitted", "cap_effective",
	"creat_flags", "request", "ID",
	"fdlimit", "vm_size", "vm_rss", "vm_swap", "pgft_maj", "pgft_min", "exe_ino_ctime", "exe_ino_mtime", "pidns_init_start_ts",
}

// maxParams is more than any event has.
const maxParams = 64

// eventTypes reads the tables once, when the first file is opened.
var eventTypes = sync.OnceValue(func() []*eventType {
	flags := flag.Tables()
	var all []*eventType
	for line := range strings.Lines(eventText) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "#" {
			continue
		}
		number, large := strings.CutPrefix(f[0], "+")
		typ, ok := event.TypeOf(f[1])
		if !ok {
			panic("no event is called " + f[1])
		}
		t := &eventType{num: uint16(must(strconv.ParseUint(number, 10, 16))), typ: typ, large: large}
		t.exit = t.num%2 == 1
		for _, p := range f[2:] {
			t.params = append(t.params, newParam(p, t.params, flags))
		}
		for len(all) <= int(t.num) {
			all = append(all, nil)
		}
		all[t.num] = t
	}
	for i, t := range all {
		if t != nil {
			t.link(all, i)
		}
	}
	return all
})

func must(n uint64, err error) uint64 {
	if err != nil {
		panic(err)
	}
	return n
}

func newParam(s string, before []param, flags map[string]flag.Table) param {
	name, rest, _ := strings.Cut(s, ":")
	typ, of, _ := strings.Cut(rest, "=")
	p := param{name: name, kind: kinds[typ], flags: flags[of]}
	switch {
	case p.kind == kindText && len(before) > 0 && before[len(before)-1].kind == kindFD && strings.Contains(before[len(before)-1].name, "dir"):
		p.kind = kindRelative // as older versions have it
	case p.kind == kindNumber && name == "mode":
		p.kind = kindOctal
	case p.kind == kindNumber && name == "dev":
		p.kind = kindHex
	}
	return p
}

// link joins an exit with its entry and finds the slots.
func (t *eventType) link(all []*eventType, i int) {
	t.own = len(t.params)
	if !t.exit {
		t.alone = i+1 >= len(all) || all[i+1] == nil
	} else if t.entry = all[i-1]; t.entry != nil {
		t.params = slices.Clone(t.params)
		for _, p := range t.entry.params {
			if !slices.ContainsFunc(t.params, func(q param) bool { return q.name == p.name }) {
				t.params = append(t.params, p)
			}
		}
		for _, p := range t.params {
			t.from = append(t.from, int8(slices.IndexFunc(t.entry.params[:t.entry.own], func(q param) bool { return q.name == p.name })))
		}
	}
	if len(t.params) > maxParams {
		panic(fmt.Sprintf("event %d has more than %d parameters", t.num, maxParams))
	}
	switch t.typ {
	case event.Useradded, event.Userdeleted, event.Groupadded, event.Groupdeleted, event.ContainerAdded, event.Asyncevent:
		t.notice = true
	}
	for s, name := range slotNames {
		t.at[s] = int8(slices.IndexFunc(t.params, func(p param) bool { return p.name == name }))
	}
}
