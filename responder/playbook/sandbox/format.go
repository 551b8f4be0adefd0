package sandbox

import (
	"bytes"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Format is a Rego file's text as OPA formats it. Its error is Errors.
func Format(file string, text []byte) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return text, nil
	}
	out, err := format.SourceWithOpts(file, text, format.Opts{
		RegoVersion: ast.RegoV1, ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities},
	})
	if err != nil {
		return nil, Errors(nil).Append(err)
	}
	return out, nil
}
