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
	// maxNodes and maxOfNode bound the series of one metric about rules.
	maxNodes  = 500
	maxOfNode = 100
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

// perNode bounds combinations of labels for each node by itself, and the nodes.
type perNode struct {
	mu    sync.Mutex
	nodes map[string]*bounded
}

func newPerNode() *perNode { return &perNode{nodes: map[string]*bounded{}} }

// room says whether the node may have this combination of labels.
func (p *perNode) room(node, combination string) bool {
	p.mu.Lock()
	b := p.nodes[node]
	if b == nil {
		if len(p.nodes) >= maxNodes {
			p.mu.Unlock()
			return false
		}
		b = newBounded(maxOfNode)
		p.nodes[node] = b
	}
	p.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[combination] && len(b.seen) >= b.max {
		return false
	}
	b.seen[combination] = true
	return true
}
