package field

import "riposte/agent/event"

// Falco's user is the effective one.
var userFields = []Field{
	{Name: "user.uid", Type: Uint32, Scope: Process, Desc: "effective user id", get: ofProc(func(p *event.Process) Value { return number(p.EUID) })},
	{Name: "user.name", Type: Text, Scope: Process, Desc: "name of the user, by the container's own list", get: ofProc(func(p *event.Process) Value { return text(p.User) })},
	{Name: "user.homedir", Type: Text, Scope: Process, Desc: "home directory of the user", get: ofProc(func(p *event.Process) Value { return text(p.Home) })},
	{Name: "user.shell", Type: Text, Scope: Process, Desc: "shell of the user", get: ofProc(func(p *event.Process) Value { return text(p.Shell) })},
	{Name: "user.loginuid", Type: Int, Scope: Process, Desc: "id of the user who logged in, -1 for nobody", get: ofProc(func(p *event.Process) Value { return number(int32(p.LoginUID)) })},
	{Name: "user.loginname", Type: Text, Scope: Process, Desc: "name of the user who logged in", get: ofProc(func(p *event.Process) Value { return text(p.LoginUser) })},
}

var groupFields = []Field{
	{Name: "group.gid", Type: Uint32, Scope: Process, Desc: "group id", get: ofProc(func(p *event.Process) Value { return number(p.GID) })},
	{Name: "group.name", Type: Text, Scope: Process, Desc: "name of the group", get: ofProc(func(p *event.Process) Value { return text(p.Group) })},
}
