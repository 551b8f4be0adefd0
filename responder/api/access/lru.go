package access

import (
	"container/list"
	"sync"
)

// lru is a map that forgets what was not used for longest, because strangers choose
// the keys.
type lru[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	items map[K]*list.Element
	order list.List // of item[K, V], the latest used first
}

type item[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{max: most, items: map[K]*list.Element{}}
}

func (c *lru[K, V]) get(key K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(item[K, V]).value, true
}

func (c *lru[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[key]; ok {
		e.Value = item[K, V]{key, v}
		c.order.MoveToFront(e)
		return
	}
	c.items[key] = c.order.PushFront(item[K, V]{key, v})
	if c.order.Len() > c.max {
		delete(c.items, c.order.Remove(c.order.Back()).(item[K, V]).key)
	}
}
