package scap

import (
	"encoding/binary"
	"fmt"

	"riposte/agent/event"
)

// Sizes of an event's fixed part: the processor, the flags, the header without and
// the number of parameters.
const cpuBytes, flagBytes, eventBytes, countBytes = 2, 4, 22, 4

// eventLayout says where an event's header begins in a block and how long it is; 0 for
// a block that holds no event.
func eventLayout(block uint32) (start, header int) {
	switch block {
	case blockEvent2, blockEvent3:
		return cpuBytes, eventBytes + countBytes
	case blockEvent1:
		return cpuBytes, eventBytes
	case blockEventFlag1:
		return cpuBytes + flagBytes, eventBytes
	case blockEventFlag2, blockEventFlag3:
		return cpuBytes + flagBytes, eventBytes + countBytes
	}
	return 0, 0
}

// decoder is the event in work.
type decoder struct {
	*state
	types []*eventType
	typ   *eventType
	// first is the time of the file's first event, last of the one before this.
	time, first, last uint64
	tid               int64
	cpu               uint16
	thread            *thread
	// lens and data are the event's own lengths and values. Of the parameters in the
	// type's list it has the first n; offs says where each begins in data.
	lens, data []byte
	n          int
	offs       [maxParams + 1]uint32
	// extra are the parameters that the call's entry had and the exit has not, if
	// joined.
	extra  [maxParams][]byte
	joined bool
	// texts are what the state knows better than the parameter's bytes say.
	texts [maxParams]string
	set   []int8

	paths  *paths
	masks  map[maskKey]string
	boot   uint64
	number uint64
	// pass are the numbers of events that are passed over: those that nobody needs, and
	// entries whose exits were seen to say all.
	pass []bool
	// wanted are the types that somebody looks at; the others only change the state.
	wanted [256]bool
	// show says that somebody looks at the event in work.
	show bool
	// needed are these and those that change the state.
	needed [256]bool
	e      event.Event
	// fill is the method args, made once.
	fill func(*event.Event)
}

// restart forgets what was learned of the recorder: another one may have written
// what follows.
func (d *decoder) restart() {
	d.pass = make([]bool, len(d.types))
	for i, t := range d.types {
		d.pass[i] = t != nil && !d.needed[t.typ]
	}
}

// head reads an event's header. It says false for an event that need not be looked at
// and for one of a number that this version does not know.
func (d *decoder) head(body []byte, start, header int) (bool, error) {
	if len(body) < start+header {
		return false, fmt.Errorf("an event has %d bytes, fewer than its header", len(body))
	}
	h := body[start : start+header]
	num := binary.LittleEndian.Uint16(h[20:])
	d.last, d.time = d.time, binary.LittleEndian.Uint64(h)
	if d.first == 0 {
		d.first, d.last = d.time, d.time
	}
	if int(num) < len(d.pass) && d.pass[num] {
		return false, nil
	}
	rest := body[start+header:]
	d.cpu = binary.LittleEndian.Uint16(body)
	d.tid = int64(binary.LittleEndian.Uint64(h[8:]))
	size, n := int64(binary.LittleEndian.Uint32(h[16:]))-int64(header), -1
	counted := header > eventBytes
	if counted {
		n = int(binary.LittleEndian.Uint32(h[eventBytes:]))
	}
	d.typ = nil
	if int(num) < len(d.types) {
		d.typ = d.types[num]
	}
	if d.typ == nil {
		d.lost[lostType]++
		return false, nil
	}
	if !counted && (num == notification || num == infrastructure) {
		size -= miscounted
	}
	if size < 0 || size > int64(len(rest)) {
		return false, fmt.Errorf("event %s says it has %d bytes of parameters, here are %d", d.typ.typ, size, len(rest))
	}
	return true, d.split(rest[:size], n)
}

// Old writers counted three bytes too many for these two.
const notification, infrastructure, miscounted = 280, 286, 3

// split cuts the parameters apart. Old events do not say how many there are: it is
// the largest number whose lengths add up to the event's.
func (d *decoder) split(b []byte, n int) error {
	width := 2
	if d.typ.large {
		width = 4
	}
	if n >= 0 {
		if uint64(n)*uint64(width) > uint64(len(b)) {
			return fmt.Errorf("event %s is said to have %d parameters in %d bytes", d.typ.typ, n, len(b))
		}
		if !d.cut(b, n, width) {
			return fmt.Errorf("the parameters of event %s are longer than the event", d.typ.typ)
		}
		return nil
	}
	for n = d.typ.own; n >= 0; n-- {
		if n*width <= len(b) && sum(b[:n*width], width) == uint64(len(b)-n*width) {
			d.cut(b, n, width)
			return nil
		}
	}
	return fmt.Errorf("no number of parameters fits the %d bytes of event %s", len(b), d.typ.typ)
}

func sum(lens []byte, width int) uint64 {
	var all uint64
	for ; len(lens) > 0; lens = lens[width:] {
		all += length(lens, width)
	}
	return all
}

func length(lens []byte, width int) uint64 {
	if width == 4 {
		return uint64(binary.LittleEndian.Uint32(lens))
	}
	return uint64(binary.LittleEndian.Uint16(lens))
}

// cut finds the parameters. Those that this version does not know are left out.
func (d *decoder) cut(b []byte, n, width int) bool {
	lens, data := b[:n*width], b[n*width:]
	d.lens, d.data, d.joined = lens, data, false
	known := min(n, d.typ.own)
	d.n = known
	end, i := uint64(0), 0
	if width == 2 {
		for ; i < known; i++ {
			d.offs[i] = uint32(end)
			end += uint64(binary.LittleEndian.Uint16(lens[2*i:]))
		}
	} else {
		for ; i < known; i++ {
			d.offs[i] = uint32(end)
			end += uint64(binary.LittleEndian.Uint32(lens[4*i:]))
		}
	}
	d.offs[known] = uint32(end)
	if known < n {
		end += sum(lens[known*width:], width)
	}
	return end <= uint64(len(data))
}

// Bounds of what is kept of one entry, and of all.
const (
	maxEntry = 16 << 10
	maxKept  = 64 << 20
)

// keep remembers a call's entry for its exit, which in old captures says less.
func (d *decoder) keep() {
	t := d.thread
	en := &t.enter
	en.typ = nil
	need := len(d.lens) + len(d.data)
	more := need - cap(en.bytes)
	if t == &d.stray || need > maxEntry || more > 0 && d.kept+more > maxKept {
		d.lost[lostEntry]++
		return
	}
	if more > 0 {
		d.forgetEntry(t)
		en.bytes = make([]byte, 0, need)
		d.kept += need
	}
	en.typ, en.n, en.lens = d.typ, d.n, len(d.lens)
	en.bytes = append(append(en.bytes[:0], d.lens...), d.data...)
}

// forgetEntry gives the memory of a thread's entry back.
func (s *state) forgetEntry(t *thread) {
	s.kept -= cap(t.enter.bytes)
	t.enter = entry{}
}

// complete fills in from the entry what the exit does not say.
func (d *decoder) complete() {
	t := d.typ
	en := &d.thread.enter
	if t.entry != nil && d.n == len(t.params) && t.typ != event.Drop {
		d.pass[t.num-1] = true
	}
	if en.typ == nil {
		return
	}
	ours := t.exit && en.typ == t.entry
	en.typ = nil
	if !ours || d.n == len(t.params) {
		return
	}
	lens, data := en.bytes[:en.lens], en.bytes[en.lens:]
	var starts [maxParams + 1]int
	width := 2
	if t.entry.large {
		width = 4
	}
	for i := range en.n {
		starts[i+1] = starts[i] + int(length(lens[i*width:], width))
	}
	d.joined = true
	for i := d.n; i < len(t.params); i++ {
		d.extra[i] = nil
		if from := t.from[i]; from >= 0 && int(from) < en.n {
			d.extra[i] = data[starts[from]:starts[from+1]]
		}
	}
}

// at is the bytes of one of the type's parameters, nil if the event has it not.
func (d *decoder) at(i int) []byte {
	if i < d.n {
		from, to := d.offs[i], d.offs[i+1]
		return d.data[from:to:to]
	}
	if d.joined {
		return d.extra[i]
	}
	return nil
}

// val is a parameter's bytes, nil if the event has none.
func (d *decoder) val(s slot) []byte {
	i := d.typ.at[s]
	if i < 0 {
		return nil
	}
	return d.at(int(i))
}

func (d *decoder) has(s slot) bool { return d.val(s) != nil }

// num is a parameter's number.
func (d *decoder) num(s slot) (int64, bool) {
	i := d.typ.at[s]
	if i < 0 {
		return 0, false
	}
	b := d.at(int(i))
	if len(b) == 8 {
		return int64(binary.LittleEndian.Uint64(b)), true
	}
	return integer(b, d.typ.params[i].kind)
}

// or is a parameter's number, or another if there is none.
func (d *decoder) or(s slot, other int64) int64 {
	if n, ok := d.num(s); ok {
		return n
	}
	return other
}

func (d *decoder) text(s slot) string { return cString(d.val(s)) }

// tell gives a parameter the text that the state knows.
func (d *decoder) tell(i int8, text string) {
	if !d.show || i < 0 || d.at(int(i)) == nil {
		return
	}
	if d.texts[i] == "" {
		d.set = append(d.set, i)
	}
	d.texts[i] = text
}

func (d *decoder) forget() {
	for _, i := range d.set {
		d.texts[i] = ""
	}
	d.set = d.set[:0]
}

// integer reads a number of any width; what is no number is none.
func integer(b []byte, k kind) (int64, bool) {
	signed := k == kindErrno || k == kindFD || k == kindPID || k == kindSigned
	switch len(b) {
	case 8:
		return int64(binary.LittleEndian.Uint64(b)), true
	case 4:
		n := binary.LittleEndian.Uint32(b)
		if signed {
			return int64(int32(n)), true
		}
		return int64(n), true
	case 2:
		n := binary.LittleEndian.Uint16(b)
		if signed {
			return int64(int16(n)), true
		}
		return int64(n), true
	case 1:
		return int64(b[0]), true
	}
	return 0, false
}
