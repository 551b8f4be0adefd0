package scap

// Numbers of threads are below 2^22 on Linux, so most are found in two steps.
const (
	pageBits = 10
	pages    = 1 << 22 >> pageBits
)

// threads are the threads by number. A page is made when its first thread comes.
type threads struct {
	near [pages]*[1 << pageBits]*thread
	// far are numbers that only a broken or a foreign file has.
	far map[int64]*thread
	n   int
}

// get is nil for a thread that is not there.
func (t *threads) get(tid int64) *thread {
	page := uint64(tid) >> pageBits
	if page >= pages {
		return t.far[tid]
	}
	if p := t.near[page]; p != nil {
		return p[tid&(1<<pageBits-1)]
	}
	return nil
}

// put adds a thread under a number that is free.
func (t *threads) put(tid int64, th *thread) {
	t.n++
	page := uint64(tid) >> pageBits
	if page >= pages {
		if t.far == nil {
			t.far = map[int64]*thread{}
		}
		t.far[tid] = th
		return
	}
	if t.near[page] == nil {
		t.near[page] = new([1 << pageBits]*thread)
	}
	t.near[page][tid&(1<<pageBits-1)] = th
}

// remove takes out a thread that is there.
func (t *threads) remove(tid int64) {
	t.n--
	if page := uint64(tid) >> pageBits; page < pages {
		t.near[page][tid&(1<<pageBits-1)] = nil
		return
	}
	delete(t.far, tid)
}

// all calls visit with each thread.
func (t *threads) all(visit func(*thread)) {
	for _, page := range &t.near {
		if page == nil {
			continue
		}
		for _, th := range page {
			if th != nil {
				visit(th)
			}
		}
	}
	for _, th := range t.far {
		visit(th)
	}
}
