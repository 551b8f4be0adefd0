package contain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"riposte/bpf"
)

// cut is where one cut's programs are attached, as the lease remembers it. The
// kernel keeps programs and map for as long as they are attached somewhere, so
// nothing is pinned and nothing is held open: whoever has the map's id finds them.
type cut struct {
	Map     ebpf.MapID `json:"map"`
	Devices []device   `json:"devices,omitempty"`
	// Gap says what the cut does not stop, empty if nothing is known to get past it.
	Gap string `json:"gap,omitempty"`
}

// Slots of the map; see contain.bpf.c.
const (
	slotUntil    = uint32(bpf.ContainCutSlotCUT_UNTIL)
	slotLoopback = uint32(bpf.ContainCutSlotCUT_LOOPBACK)
	slotOut      = uint32(bpf.ContainCutSlotCUT_OUT)
	slotWire     = uint32(bpf.ContainCutSlotCUT_WIRE)
)

// freshCut is a cut that is being made.
type freshCut struct {
	cut
	programs struct {
		Out *ebpf.Program `ebpf:"riposte_cut_out"`
		In  *ebpf.Program `ebpf:"riposte_cut_in"`
		Rx  *ebpf.Program `ebpf:"riposte_cut_rx"`
		Tx  *ebpf.Program `ebpf:"riposte_cut_tx"`
		Cut *ebpf.Map     `ebpf:"cut"`
	}
}

// newCut loads the programs and finds the devices of the container's network
// namespaces. Nothing is attached yet.
func newCut(c *target, loopback bool) (*freshCut, error) {
	spec, err := bpf.LoadContain()
	if err != nil {
		return nil, fmt.Errorf("read the programs of a cut: %w", err)
	}
	if !hasTCX() {
		for _, name := range []string{"riposte_cut_rx", "riposte_cut_tx"} {
			spec.Programs[name].AttachType = ebpf.AttachNone // a kernel that does not know tcx
		}
	}
	var f freshCut
	if err := spec.LoadAndAssign(&f.programs, nil); err != nil {
		return nil, fmt.Errorf("load the programs of a cut: %w", err)
	}
	info, err := f.programs.Cut.Info()
	if err == nil {
		id, _ := info.ID()
		f.Map = id
		f.Devices, f.Gap, err = findDevices(c)
	}
	if err == nil && loopback {
		err = f.programs.Cut.Put(slotLoopback, uint64(1))
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return &f, nil
}

// close lets go of the programs; those that are attached stay.
func (f *freshCut) close() {
	for _, p := range []*ebpf.Program{f.programs.Out, f.programs.In, f.programs.Rx, f.programs.Tx} {
		p.Close()
	}
	f.programs.Cut.Close()
}

// attach begins the cut: the cgroup first, which stops all but packet sockets, then
// the devices. What cannot be attached to a device is a gap, not an error.
func (f *freshCut) attach(c *cgroup, until uint64) error {
	if err := f.programs.Cut.Put(slotUntil, until); err != nil {
		return fmt.Errorf("set the cut's end: %w", err)
	}
	for _, a := range []struct {
		program *ebpf.Program
		to      ebpf.AttachType
	}{{f.programs.Out, ebpf.AttachCGroupInetEgress}, {f.programs.In, ebpf.AttachCGroupInetIngress}} {
		err := link.RawAttachProgram(link.RawAttachProgramOptions{Target: int(c.dir.Fd()), Program: a.program, Attach: a.to, Flags: allowMulti})
		if err != nil {
			return fmt.Errorf("attach to the container's cgroup: %w", err)
		}
	}
	for _, d := range f.Devices {
		if err := d.attach(f.programs.Rx, f.programs.Tx); err != nil {
			f.Gap = fmt.Sprintf("packet sockets are not stopped: device %s: %v", d.Name, err)
		}
	}
	return nil
}

// allowMulti leaves others' programs on the cgroup as they are (BPF_F_ALLOW_MULTI).
const allowMulti = 2

// opened opens the map; fs.ErrNotExist says that nothing is attached any more.
func (k *cut) opened(do func(*ebpf.Map) error) error {
	m, err := ebpf.NewMapFromID(k.Map)
	if err != nil {
		return fmt.Errorf("open the cut's map: %w", err)
	}
	defer m.Close()
	return do(m)
}

// end sets when the cut ends, since boot.
func (k *cut) end(until uint64) error {
	return k.opened(func(m *ebpf.Map) error { return m.Put(slotUntil, until) })
}

// extend sets the end, and stops the loopback device too if that is asked for now.
func (k *cut) extend(until uint64, loopback bool) error {
	return k.opened(func(m *ebpf.Map) error {
		if !loopback {
			if err := m.Put(slotLoopback, uint64(0)); err != nil {
				return err
			}
		}
		return m.Put(slotUntil, until)
	})
}

// dropped counts the packets that were dropped so far.
func (k *cut) dropped() (all uint64) {
	_ = k.opened(func(m *ebpf.Map) error {
		for slot := slotOut; slot <= slotWire; slot++ {
			var n uint64
			if err := m.Lookup(slot, &n); err != nil {
				return err
			}
			all += n
		}
		return nil
	})
	return all
}

// missing says what of the cut is not in force, empty if all is: each packet of the
// cgroup and of its devices then goes through a program that drops it.
func (k *cut) missing(c *cgroup) string {
	if why := k.broken(c); why != "" {
		return why
	}
	var until uint64
	if err := k.opened(func(m *ebpf.Map) error { return m.Lookup(slotUntil, &until) }); err != nil {
		return "the cut is not in force: " + err.Error()
	}
	if until <= bootNS() {
		return "the cut's lease has ended"
	}
	return k.Gap
}

// broken says where the programs are not attached any more, or not yet.
func (k *cut) broken(c *cgroup) string {
	for _, to := range []ebpf.AttachType{ebpf.AttachCGroupInetEgress, ebpf.AttachCGroupInetIngress} {
		found, err := k.attached(int(c.dir.Fd()), to)
		closeAll(found)
		switch {
		case err != nil:
			return fmt.Sprintf("look for the cut at the container's cgroup: %v", err)
		case len(found) == 0:
			return "the cut is not in force at the container's cgroup"
		}
	}
	if k.Gap != "" {
		return "" // known not to be whole
	}
	for _, d := range k.Devices {
		if why := d.missing(k); why != "" {
			return why
		}
	}
	return ""
}

// attached are the cut's own programs among those attached somewhere.
func (k *cut) attached(at int, to ebpf.AttachType) ([]*ebpf.Program, error) {
	all, err := link.QueryPrograms(link.QueryOptions{Target: at, Attach: to})
	if err != nil {
		return nil, err
	}
	var own []*ebpf.Program
	for _, a := range all.Programs {
		if p := k.own(a.ID); p != nil {
			own = append(own, p)
		}
	}
	return own, nil
}

// own opens a program if it is one of the cut's, else it returns nil.
func (k *cut) own(id ebpf.ProgramID) *ebpf.Program {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return nil // detached meanwhile
	}
	if info, err := p.Info(); err == nil {
		if ids, ok := info.MapIDs(); ok && slices.Contains(ids, k.Map) {
			return p
		}
	}
	p.Close()
	return nil
}

// detach ends the cut; c is nil if its cgroup has gone. Safe to repeat.
func (k *cut) detach(c *cgroup) error {
	// Whatever cannot be reached any more lets everything pass from now on.
	_ = k.end(0)
	var errs []error
	if c != nil {
		for _, to := range []ebpf.AttachType{ebpf.AttachCGroupInetEgress, ebpf.AttachCGroupInetIngress} {
			errs = append(errs, k.detachFrom(int(c.dir.Fd()), to))
		}
	}
	for _, d := range k.Devices {
		errs = append(errs, d.detach(k))
	}
	return errors.Join(errs...)
}

func (k *cut) detachFrom(at int, to ebpf.AttachType) error {
	own, err := k.attached(at, to)
	if err != nil {
		return ignoreGone(err)
	}
	defer closeAll(own)
	var errs []error
	for _, p := range own {
		if err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: at, Program: p, Attach: to}); ignoreGone(err) != nil {
			errs = append(errs, fmt.Errorf("detach from %s: %w", to, err))
		}
	}
	return errors.Join(errs...)
}

func closeAll(programs []*ebpf.Program) {
	for _, p := range programs {
		p.Close()
	}
}
