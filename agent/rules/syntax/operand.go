package syntax

import (
	"strings"
)

func (p *parser) comparison(left Operand) (Node, error) {
	p.blanks()
	n := &Check{Left: left, OpPos: p.pos()}
	if n.Op = p.operator(); n.Op == "" {
		return nil, p.errorHere("unexpected %s: expecting an operator after %s, such as =, in, contains, startswith or exists", p.found(), left)
	}
	if n.Op == Exists {
		return n, nil
	}
	p.blanks()
	var err error
	switch {
	case n.Op.TakesList():
		n.Right, err = p.listOperand(n.Op)
	case n.Op.TakesNumber():
		n.Right, err = p.numberOperand(n.Op)
	default:
		if n.Mod = p.modifier(); n.Mod != "" {
			n.Right, err = p.list(p.value)
		} else {
			n.Right, err = p.textOperand(n.Op)
		}
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// operator consumes an operator. "in" and "exists" need nothing after them;
// other words end where a name would.
func (p *parser) operator() Op {
	rest := p.text[p.at:]
	for _, op := range Ops() {
		if !strings.HasPrefix(rest, string(op)) {
			continue
		}
		if isLetter(op[0]) && op != In && op != Exists && len(rest) > len(op) && isIdent(rest[len(op)]) {
			continue
		}
		p.at += len(op)
		return op
	}
	return ""
}

// modifier consumes oneof, anyof or allof if a list follows it: they may be values too.
func (p *parser) modifier() Modifier {
	start := p.at
	for _, m := range []Modifier{OneOf, AnyOf, AllOf} {
		if p.keyword(string(m)) {
			p.blanks()
			if p.peek() == '(' {
				return m
			}
			p.at = start
		}
	}
	return ""
}

// callOperand reads a call on the right side, if one stands there.
func (p *parser) callOperand() (*Call, error) {
	at := p.pos()
	if name := p.ident(); name != "" && p.peek() == '(' {
		return p.call(at, name, true)
	}
	p.at = at.Offset
	return nil, nil
}

func (p *parser) numberOperand(op Op) (Operand, error) {
	if c, err := p.callOperand(); c != nil || err != nil {
		return c, err
	}
	at := p.pos()
	n := p.number()
	if n == "" || p.at < len(p.text) && isBare(p.text[p.at]) {
		p.at = at.Offset
		return nil, p.errorHere("unexpected %s: operator %s needs a number", p.found(), op)
	}
	return &Value{Pos: at, Text: n}, nil
}

func (p *parser) textOperand(op Op) (Operand, error) {
	if c, err := p.callOperand(); c != nil || err != nil {
		return c, err
	}
	if p.peek() == '(' {
		return nil, p.errorHere("operator %s needs one value, not a list: use 'in', or '%s anyof (...)'", op, op)
	}
	return p.value()
}

func (p *parser) listOperand(op Op) (Operand, error) {
	if p.peek() == '(' {
		return p.list(p.value)
	}
	if c, err := p.callOperand(); c != nil || err != nil {
		return c, err
	}
	at := p.pos()
	if name := p.ident(); name != "" && !isBare(p.peek()) {
		return &List{Pos: at, Items: []Operand{&Value{Pos: at, Text: name}}}, nil
	}
	p.at = at.Offset
	return nil, p.errorHere("unexpected %s: operator %s needs a list in parentheses", p.found(), op)
}

func (p *parser) value() (Operand, error) {
	at := p.pos()
	if c := p.peek(); c == '"' || c == '\'' {
		v, err := p.quoted()
		return &Value{Pos: at, Text: v, Quoted: true}, err
	}
	v := p.bare()
	if v == "" {
		return nil, p.errorHere("unexpected %s: expecting a value", p.found())
	}
	return &Value{Pos: at, Text: v}, nil
}

// list reads items in parentheses; the current byte is the first one.
func (p *parser) list(item func() (Operand, error)) (Operand, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	l := &List{Pos: p.pos()}
	p.at++
	p.blanks()
	if p.take(')') {
		p.depth--
		return l, nil
	}
	for {
		p.blanks()
		v, err := item()
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
		p.blanks()
		if p.take(',') {
			continue
		}
		if !p.take(')') {
			if p.at == len(p.text) {
				return nil, p.errorAt(l.Pos, "this parenthesis is not closed")
			}
			return nil, p.errorHere("unexpected %s: expecting ',' or ')'", p.found())
		}
		p.depth--
		return l, nil
	}
}
