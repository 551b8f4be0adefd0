package syntax

import (
	"slices"
	"strings"
)

// MaxDepth is how deep parentheses and calls may be nested.
const MaxDepth = 1000

// Parse reads one condition. The error is an *Error.
func Parse(text string) (Node, error) {
	p := &parser{scanner: scanner{text: text}}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	p.blanks()
	if p.at < len(text) {
		return nil, p.errorHere("unexpected %s: expecting 'and', 'or' or the end of the condition", p.found())
	}
	return n, nil
}

// ParseField reads one field or transformer call from the start of a text, as
// it stands in a rule's output, and says where it ends.
func ParseField(text string) (Operand, int, error) {
	p := &parser{scanner: scanner{text: text}}
	o, err := p.left()
	return o, p.at, err
}

type parser struct {
	scanner
	depth int
}

// found names what stands at the current place, for an error.
func (p *parser) found() string {
	rest := p.text[p.at:]
	if rest == "" {
		return "end of the condition"
	}
	end := 1
	for end < len(rest) && end < 32 && isBare(rest[0]) && isBare(rest[end]) {
		end++
	}
	return "'" + strings.ToValidUTF8(printable(rest[:end]), "?") + "'"
}

func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.errorHere("nested deeper than %d levels", MaxDepth)
	}
	return nil
}

func (p *parser) or() (Node, error) {
	return p.chain("or", p.and, func(terms []Node) Node { return &Or{Terms: terms} })
}

func (p *parser) and() (Node, error) {
	return p.chain("and", p.not, func(terms []Node) Node { return &And{Terms: terms} })
}

// chain reads terms joined by one keyword; a single term stays as it is.
func (p *parser) chain(word string, next func() (Node, error), build func([]Node) Node) (Node, error) {
	first, err := next()
	if err != nil {
		return nil, err
	}
	var terms []Node
	for {
		p.blanks()
		if !p.keyword(word) {
			break
		}
		n, err := next()
		if err != nil {
			return nil, err
		}
		if terms == nil {
			terms = []Node{first}
		}
		terms = append(terms, n)
	}
	if terms == nil {
		return first, nil
	}
	return build(terms), nil
}

// not reads any number of "not"; two of them cancel each other.
func (p *parser) not() (Node, error) {
	p.blanks()
	at, negative := p.pos(), false
	for p.keyword("not") {
		negative = !negative
		p.blanks()
	}
	n, err := p.check()
	if err != nil || !negative {
		return n, err
	}
	return &Not{Pos: at, X: n}, nil
}

func (p *parser) check() (Node, error) {
	if p.peek() == '(' {
		open := p.pos()
		if err := p.enter(); err != nil {
			return nil, err
		}
		p.at++
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		p.blanks()
		if p.at == len(p.text) {
			return nil, p.errorAt(open, "this parenthesis is not closed")
		}
		if !p.take(')') {
			return nil, p.errorHere("unexpected %s: expecting 'and', 'or' or ')'", p.found())
		}
		p.depth--
		return n, nil
	}
	start := p.at
	if name := p.fieldName(); name != "" && !strings.Contains(name, ".") && p.peek() != '(' {
		p.at = start
		if name == "and" || name == "or" || name == "not" {
			return nil, p.errorHere("unexpected '%s': an expression is missing", name)
		}
		at := p.pos()
		p.at += len(name)
		return &Macro{Pos: at, Name: name}, nil
	}
	p.at = start
	left, err := p.left()
	if err != nil {
		return nil, err
	}
	return p.comparison(left)
}

// left reads a field or a transformer call.
func (p *parser) left() (Operand, error) {
	at := p.pos()
	name := p.fieldName()
	switch {
	case name == "":
		return nil, p.errorHere("unexpected %s: expecting a field, a macro or '('", p.found())
	case p.peek() == '(':
		return p.call(at, name, false)
	case strings.Contains(name, "."):
		return p.field(at, name)
	}
	p.at = at.Offset
	return nil, p.errorHere("'%s' is not a field: expecting a name with a dot, such as proc.name", name)
}

// field reads the argument in brackets that may follow a name.
func (p *parser) field(at Pos, name string) (*Field, error) {
	f := &Field{Pos: at, Name: name}
	if !p.take('[') {
		return f, nil
	}
	f.HasArg = true
	var err error
	f.Arg, err = p.bracket(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// bracket reads an argument after its '['.
func (p *parser) bracket(name string) (arg string, err error) {
	if c := p.peek(); c == '"' || c == '\'' {
		if arg, err = p.quoted(); err != nil {
			return "", err
		}
	} else {
		start := p.at
		for p.at < len(p.text) && isArgByte(p.text[p.at]) {
			p.at++
		}
		if arg = p.text[start:p.at]; arg == "" {
			return "", p.errorHere("the argument of %s is missing", name)
		}
	}
	if !p.take(']') {
		return "", p.errorHere("unexpected %s: expecting ']' after the argument of %s", p.found(), name)
	}
	return arg, nil
}

// call reads a call's arguments; the current byte is its parenthesis.
func (p *parser) call(at Pos, name string, right bool) (*Call, error) {
	switch {
	case name == Val && !right:
		return nil, p.errorAt(at, "val() is only allowed on the right side of a comparison")
	case name != Val && !slices.Contains(Transformers(), name):
		return nil, p.errorAt(at, "unknown transformer '%s': known are %s", name, strings.Join(Transformers(), ", "))
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.at++
	c := &Call{Pos: at, Name: name}
	for {
		p.blanks()
		a, err := p.argument()
		if err != nil {
			return nil, err
		}
		c.Args = append(c.Args, a)
		p.blanks()
		if p.take(',') {
			continue
		}
		if !p.take(')') {
			return nil, p.errorHere("unexpected %s: expecting ',' or ')'", p.found())
		}
		p.depth--
		if name == "getopt" && p.take('[') {
			c.HasArg = true
			c.Arg, err = p.bracket(name)
			return c, err
		}
		return c, nil
	}
}

func (p *parser) argument() (Operand, error) {
	c := p.peek()
	switch {
	case c == '"' || c == '\'':
		return p.value()
	case c == '(':
		return p.list(p.argument)
	case isLetter(c):
		return p.left()
	}
	at := p.pos()
	if n := p.number(); n != "" {
		return &Value{Pos: at, Text: n}, nil
	}
	return nil, p.errorHere("unexpected %s: expecting a field, a transformer, a quoted text or a number", p.found())
}

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
