package tokens

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// CheckJSON reports whether raw is one JSON value in which no member repeats at any depth, no
// string is broken, nothing nests deeper than 64 levels and nothing follows.
func CheckJSON(raw []byte) error {
	r := newReader(raw)
	r.value()
	return r.end()
}

// envelope is how much deeper a message may nest than what was read before and travels in it.
const envelope = 4

// StrictUnmarshal decodes raw into v like encoding/json, but refuses what that would let pass: a
// member that differs from a field's name by case, a member that v does not know, one that is
// there twice, text after the value. Inside types that decode themselves it still refuses repeats.
// It lets a text nest a little deeper than the others do, for what they have read may be part of it.
func StrictUnmarshal(raw []byte, v any) error {
	r := newReader(raw)
	r.depth = -envelope
	r.match(reflect.TypeOf(v))
	if err := r.end(); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", errJSON, err)
	}
	return nil
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// match walks one value beside the type that will hold it and refuses names that are not its
// fields' to the letter.
func (r *reader) match(t reflect.Type) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || reflect.PointerTo(t).Implements(jsonUnmarshaler) || reflect.PointerTo(t).Implements(textUnmarshaler) {
		r.value()
		return
	}
	kind, next := t.Kind(), r.kind()
	switch {
	case kind == reflect.Struct && next == '{':
		fields := fieldsOf(t)
		for name := range r.members() {
			field, ok := fields[name]
			if !ok {
				r.fail("unknown member %s", shown(name))
				return
			}
			r.match(field)
		}
	case kind == reflect.Map && next == '{':
		for range r.members() {
			r.match(t.Elem())
		}
	case (kind == reflect.Slice || kind == reflect.Array) && next == '[':
		for range r.items() {
			r.match(t.Elem())
		}
	default:
		r.value()
	}
}

var fieldCache sync.Map // reflect.Type -> map[string]reflect.Type, one entry per type of the program

// fieldsOf names the members that encoding/json decodes into t.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if known, ok := fieldCache.Load(t); ok {
		return known.(map[string]reflect.Type)
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" || !f.IsExported() || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	fieldCache.Store(t, fields)
	return fields
}
