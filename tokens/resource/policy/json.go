package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// appendJSON appends the node as JSON, numbers as written. What YAML can say and JSON cannot
// (hexadecimal, .inf, binary, local tags) is an error.
func appendJSON(b []byte, n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return appendList(b, n, '{', '}')
	case yaml.SequenceNode:
		return appendList(b, n, '[', ']')
	case yaml.ScalarNode:
		return appendScalar(b, n)
	}
	return nil, fmt.Errorf("line %d: not a value", n.Line)
}

func appendList(b []byte, n *yaml.Node, open, end byte) ([]byte, error) {
	b = append(b, open)
	for i, child := range n.Content {
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		var err error
		switch {
		case isKey && i > 0, n.Kind == yaml.SequenceNode && i > 0:
			b = append(b, ',')
		case n.Kind == yaml.MappingNode && !isKey:
			b = append(b, ':')
		}
		if isKey {
			b, err = appendString(b, child)
		} else {
			b, err = appendJSON(b, child)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, end), nil
}

func appendScalar(b []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!str", "!!timestamp": // a date is what was typed
		return appendString(b, n)
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			return append(b, n.Value...), nil
		}
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err == nil {
			return fmt.Appendf(b, "%t", v), nil
		}
	case "!!null":
		return append(b, "null"...), nil
	}
	return nil, fmt.Errorf("line %d: %q cannot be written in JSON", n.Line, n.Value)
}

func appendString(b []byte, n *yaml.Node) ([]byte, error) {
	if !utf8.ValidString(n.Value) {
		return nil, fmt.Errorf("line %d: not UTF-8", n.Line)
	}
	s, err := json.Marshal(n.Value)
	return append(b, s...), err
}
