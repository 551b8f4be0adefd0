package syntax

// Node is a part of a condition that is true or false: *Or, *And, *Not, *Macro
// or *Check.
type Node interface {
	// Start is where the part begins in its text.
	Start() Pos
	// String is the part as text that parses to the same tree.
	String() string
	isNode()
}

// Or is true if one of its terms is; it has at least two.
type Or struct{ Terms []Node }

// And is true if all its terms are; it has at least two.
type And struct{ Terms []Node }

// Not is the opposite of X.
type Not struct {
	Pos Pos
	X   Node
}

// Macro stands for the condition of that name.
type Macro struct {
	Pos  Pos
	Name string
}

// Check compares a field with something.
type Check struct {
	// Left is a *Field or a *Call.
	Left  Operand
	OpPos Pos
	Op    Op
	// Mod is "" in most checks; otherwise Right is a *List.
	Mod Modifier
	// Right is nil for exists; else a *Value, a *List or a *Call.
	Right Operand
}

// Operand is a side of a check, or a part of one: *Field, *Call, *Value, *List.
type Operand interface {
	Start() Pos
	String() string
	isOperand()
}

// Field names a field, with the argument in brackets if it has one.
type Field struct {
	Pos    Pos
	Name   string
	HasArg bool
	Arg    string
}

// Call is a transformer, or val(), which only makes a field of the right side.
type Call struct {
	Pos  Pos
	Name string
	Args []Operand
	// HasArg and Arg are what stands in brackets after the call, of getopt alone.
	HasArg bool
	Arg    string
}

// Value is a literal. Text is without quotes and escapes.
type Value struct {
	Pos    Pos
	Text   string
	Quoted bool
}

// List is literals in parentheses.
type List struct {
	Pos   Pos
	Items []Operand
}

// Op is an operator, as it is written.
type Op string

// The operators. Eq2 means the same as Eq.
const (
	Exists      Op = "exists"
	Eq          Op = "="
	Eq2         Op = "=="
	Ne          Op = "!="
	Lt          Op = "<"
	Le          Op = "<="
	Gt          Op = ">"
	Ge          Op = ">="
	Glob        Op = "glob"
	IGlob       Op = "iglob"
	Contains    Op = "contains"
	IContains   Op = "icontains"
	BContains   Op = "bcontains"
	StartsWith  Op = "startswith"
	BStartsWith Op = "bstartswith"
	EndsWith    Op = "endswith"
	Regex       Op = "regex"
	In          Op = "in"
	Intersects  Op = "intersects"
	PMatch      Op = "pmatch"
)

// Ops lists all operators. One that begins with another stands before it.
func Ops() []Op {
	return []Op{
		Eq2, Eq, Ne, Le, Lt, Ge, Gt,
		Intersects, In, PMatch, Exists, Glob, IGlob, Contains, IContains, BContains, StartsWith, BStartsWith, EndsWith, Regex,
	}
}

// TakesList says that the right side is a list.
func (o Op) TakesList() bool { return o == In || o == Intersects || o == PMatch }

// TakesNumber says that a literal on the right side must be a number.
func (o Op) TakesNumber() bool { return o == Lt || o == Le || o == Gt || o == Ge }

// Modifier says how many of a list's values an operator must be true for.
type Modifier string

// The modifiers: exactly one, at least one, every one.
const (
	OneOf Modifier = "oneof"
	AnyOf Modifier = "anyof"
	AllOf Modifier = "allof"
)

// Val is the name of the call that makes a field the right side of a check.
const Val = "val"

// Transformers lists the functions that change a value.
func Transformers() []string {
	return []string{"tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt"}
}

// Start returns the place of the first term.
func (n *Or) Start() Pos { return n.Terms[0].Start() }

// Start returns the place of the first term.
func (n *And) Start() Pos { return n.Terms[0].Start() }

// Start returns the place of the word "not".
func (n *Not) Start() Pos { return n.Pos }

// Start returns the place of the name.
func (n *Macro) Start() Pos { return n.Pos }

// Start returns the place of the left side.
func (n *Check) Start() Pos { return n.Left.Start() }

// Start returns the place of the name.
func (o *Field) Start() Pos { return o.Pos }

// Start returns the place of the name.
func (o *Call) Start() Pos { return o.Pos }

// Start returns the place of the text or its quote.
func (o *Value) Start() Pos { return o.Pos }

// Start returns the place of the parenthesis.
func (o *List) Start() Pos { return o.Pos }

func (*Or) isNode()    {}
func (*And) isNode()   {}
func (*Not) isNode()   {}
func (*Macro) isNode() {}
func (*Check) isNode() {}

func (*Field) isOperand() {}
func (*Call) isOperand()  {}
func (*Value) isOperand() {}
func (*List) isOperand()  {}
