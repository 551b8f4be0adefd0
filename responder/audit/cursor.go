package audit

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// cursor reads JSON in the form that object writes: an own reader, because this is
// where a verification spends its time. What it does not take is not wrong yet: the
// caller then reads it with encoding/json.
type cursor struct {
	json string
	at   int
	// err is why next returned false, nil at the object's end.
	err error
}

// reading is an object that is being read.
type reading struct {
	key string
	n   int
}

func (c *cursor) take(b byte) bool {
	if c.at < len(c.json) && c.json[c.at] == b {
		c.at++
		return true
	}
	return false
}

// open begins an object.
func (c *cursor) open() reading { //nolint:unparam // a reading begins empty
	if c.err = nil; !c.take('{') {
		c.err = errForm
	}
	return reading{}
}

// next goes to the value of the next key; keys must come in alphabetical order, so
// that none can be there twice.
func (c *cursor) next(o *reading) bool {
	if c.err != nil || o.n > 0 && c.take('}') {
		return false
	}
	last := o.key
	if o.n > 0 && !c.take(',') {
		c.err = errForm
		return false
	}
	if c.err = c.text(&o.key); c.err == nil && (o.n > 0 && o.key <= last || !c.take(':')) {
		c.err = errForm
	}
	o.n++
	return c.err == nil
}

// texts and numbers read an object of nothing else.
func (c *cursor) texts() error {
	var unused string
	for o := c.open(); c.next(&o); {
		if err := c.text(&unused); err != nil {
			return err
		}
	}
	return c.err
}

func (c *cursor) numbers() error {
	var unused int64
	for o := c.open(); c.next(&o); {
		if err := c.number(&unused); err != nil {
			return err
		}
	}
	return c.err
}

// number reads an integer.
func (c *cursor) number(into *int64) error {
	from := c.at
	for c.at < len(c.json) && (c.json[c.at] == '-' || c.json[c.at] >= '0' && c.json[c.at] <= '9') {
		c.at++
	}
	n, err := strconv.ParseInt(c.json[from:c.at], 10, 64)
	*into = n
	return err
}

// text reads a string.
func (c *cursor) text(into *string) error {
	if !c.take('"') {
		return errForm
	}
	from, escaped := c.at, false
	for ; c.at < len(c.json); c.at++ {
		switch b := c.json[c.at]; {
		case b == '\\':
			escaped = true
			c.at++
		case b == '"':
			*into = c.json[from:c.at]
			c.at++
			if !escaped {
				return nil
			}
			text, ok := unescape(*into)
			if !ok {
				return errForm
			}
			*into = text
			return nil
		case b < ' ':
			return errForm
		}
	}
	return errForm
}

// letter is what an escape of one letter stands for, 0 for none.
func letter(b byte) byte {
	switch b {
	case '"', '\\', '/':
		return b
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unescape replaces what stands behind backslashes.
func unescape(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i++; i >= len(s) {
			return "", false
		}
		if s[i] != 'u' {
			if b = append(b, letter(s[i])); b[len(b)-1] == 0 {
				return "", false
			}
			continue
		}
		r, ok := hex4(s, i+1)
		if !ok {
			return "", false
		}
		i += 4
		if utf16.IsSurrogate(r) {
			second, ok := rune(0), false
			if i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
				second, ok = hex4(s, i+3)
			}
			if r = utf16.DecodeRune(r, second); ok && r != utf8.RuneError {
				i += 6
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), true
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[at:at+4], 16, 16)
	return rune(n), err == nil
}
