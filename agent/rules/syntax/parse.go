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
