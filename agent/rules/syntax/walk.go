package syntax

// Walk calls f for a node and everything below it, from left to right.
func Walk(n Node, f func(Node)) {
	f(n)
	switch n := n.(type) {
	case *And:
		for _, t := range n.Terms {
			Walk(t, f)
		}
	case *Or:
		for _, t := range n.Terms {
			Walk(t, f)
		}
	case *Not:
		Walk(n.X, f)
	}
}

// Fields lists the fields that an operand reads.
func Fields(o Operand) []*Field {
	switch o := o.(type) {
	case *Field:
		return []*Field{o}
	case *Call:
		var list []*Field
		for _, a := range o.Args {
			list = append(list, Fields(a)...)
		}
		return list
	case *List:
		var list []*Field
		for _, a := range o.Items {
			list = append(list, Fields(a)...)
		}
		return list
	}
	return nil
}
