package figures

import (
	"strings"
	"sync"
)

// other stands for what there is no room for.
const other = "other"

// Bounds of labels whose values come from elsewhere.
const (
	maxLabel     = 128
	maxPlaybooks = 500
	// maxOfNode and maxOfAll bound the series about rules.
	maxOfNode = 100
	maxOfAll  = 20_000
)

// label makes a text fit for a label's value.
func label(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxLabel)], "\uFFFD")
}

// bounded lets the first values through, and then other.
type bounded struct {
	max  int
	mu   sync.Mutex
	seen map[string]bool
}

func newBounded(most int) *bounded { return &bounded{max: most, seen: map[string]bool{}} }

func (b *bounded) value(s string) string {
	s = label(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[s] {
		if len(b.seen) >= b.max {
			return other
		}
		b.seen[s] = true
	}
	return s
}

// perNode bounds combinations of labels for each node by itself, and all together.
type perNode struct {
	mu    sync.Mutex
	nodes map[string]map[string]bool
	all   int
}

func newPerNode() *perNode { return &perNode{nodes: map[string]map[string]bool{}} }

// room says whether the node may have this combination of labels.
func (p *perNode) room(node, combination string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.nodes[node]
	switch {
	case own[combination]:
		return true
	case len(own) >= maxOfNode || p.all >= maxOfAll:
		return false
	case own == nil:
		own = map[string]bool{}
		p.nodes[node] = own
	}
	own[combination] = true
	p.all++
	return true
}
