package oauth

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxBody is how much of a request body is read, in bytes.
const MaxBody = 64 << 10

// maxParams bounds the number of parameters of one request, maxTicked that of the boxes on a page
// besides: a manifest has at most a thousand tools.
const (
	maxParams = 128
	maxTicked = 1000
)

// ticked is the one parameter of a page that stands as often as boxes are ticked.
const ticked = "tool"

// alsoTicked are boxes of which there are fewer.
const alsoTicked = "read"

// Params are the parameters of one request, parsed strictly: no duplicates but of the one parameter
// that may repeat (resource, RFC 8707 §2; the ticked tools of a page), no parameter with an empty value, nothing from anywhere but the one place asked.
type Params struct{ values url.Values }

// ParseBody reads the form of a POST (OAuth 2.1 §3.2): application/x-www-form-urlencoded alone, at
// most MaxBody bytes. The query of the URL is never looked at.
func ParseBody(r *http.Request) (Params, *Error) {
	if r.Method != http.MethodPost {
		return Params{}, &Error{Code: InvalidRequest, Description: "use POST", HTTPStatus: http.StatusMethodNotAllowed}
	}
	body, refused := ReadBody(r, "application/x-www-form-urlencoded")
	if refused != nil {
		return Params{}, refused
	}
	return parse(string(body), "resource")
}

// ParseForm reads the form of a page: as strictly as ParseBody, but that ticked boxes may repeat, and
// so may what else is named.
func ParseForm(r *http.Request, more ...string) (Params, *Error) {
	body, refused := ReadBody(r, "application/x-www-form-urlencoded")
	if refused != nil {
		return Params{}, refused
	}
	return parse(string(body), append(more, ticked, alsoTicked)...)
}

// ParseFields reads fields of a page's form that were kept, as strictly as ParseForm.
func ParseFields(raw string) (Params, *Error) { return parse(raw, ticked, alsoTicked) }

// ReadBody reads at most MaxBody bytes of a body with this media type.
func ReadBody(r *http.Request, mediaType string) ([]byte, *Error) {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || got != mediaType || len(r.Header.Values("Content-Type")) != 1 {
		return nil, &Error{Code: InvalidRequest, Description: "send the body as " + mediaType, HTTPStatus: http.StatusUnsupportedMediaType}
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, &Error{Code: InvalidRequest, Description: "send the body without Content-Encoding", HTTPStatus: http.StatusUnsupportedMediaType}
	}
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return nil, &Error{Code: InvalidRequest, Description: "the body could not be read", Cause: err}
	}
	if len(body) > MaxBody {
		return nil, tooLarge()
	}
	return body, nil
}

func tooLarge() *Error {
	return &Error{Code: InvalidRequest, Description: "the body is larger than 64 KiB", HTTPStatus: http.StatusRequestEntityTooLarge}
}

// ParseQuery reads the parameters of a URL's query as strictly as ParseBody reads a body.
func ParseQuery(raw string) (Params, *Error) {
	if len(raw) > MaxBody {
		return Params{}, &Error{Code: InvalidRequest, Description: "the query is too long", HTTPStatus: http.StatusRequestURITooLong}
	}
	return parse(raw, "resource")
}

// parse reads form-encoded parameters of which the repeatable alone may stand several times.
func parse(raw string, repeatable ...string) (Params, *Error) {
	most := maxParams
	if slices.Contains(repeatable, ticked) {
		most += maxTicked
	}
	if strings.Count(raw, "&") >= most {
		return Params{}, Refuse(InvalidRequest, fmt.Sprintf("more than %d parameters", most))
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return Params{}, &Error{Code: InvalidRequest, Description: "the parameters are not form-encoded", Cause: err}
	}
	for name, all := range values {
		if !utf8.ValidString(name) || len(name) > 128 {
			return Params{}, Refuse(InvalidRequest, "a parameter's name is not valid")
		}
		// OAuth 2.1 §3.1, §3.2: a parameter stands at most once; one without a value counts as absent.
		if len(all) > 1 && !slices.Contains(repeatable, name) {
			return Params{}, Refuse(InvalidRequest, "a parameter stands more than once: "+Printable(name))
		}
		kept := all[:0]
		for _, v := range all {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return Params{}, Refuse(InvalidRequest, "a parameter's value is not valid UTF-8 text: "+Printable(name))
			}
			if v != "" {
				kept = append(kept, v)
			}
		}
		if len(kept) == 0 {
			delete(values, name)
		} else {
			values[name] = kept
		}
	}
	return Params{values}, nil
}

// Printable makes text fit for error_description (RFC 6749 §5.2): printable ASCII without double
// quotes or backslash, 300 characters at most.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < 0x20 || r > 0x7e || r == '\\':
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 300)]
}

// Get returns the parameter's value, or "" when it is absent.
func (p Params) Get(name string) string { return p.values.Get(name) }

// Has reports whether the parameter is present.
func (p Params) Has(name string) bool { return p.values.Has(name) }

// All returns every value of a parameter that may repeat.
func (p Params) All(name string) []string { return p.values[name] }

// Encode returns the parameters form-encoded again.
func (p Params) Encode() string { return p.values.Encode() }

// With returns the parameters with this one set.
func (p Params) With(name, value string) Params {
	q := p.Without(name)
	q.values.Set(name, value)
	return q
}

// Without returns the parameters less this one.
func (p Params) Without(name string) Params {
	values := maps.Clone(p.values)
	if values == nil {
		values = url.Values{}
	}
	delete(values, name)
	return Params{values}
}

// Only returns the parameters whose names are wanted.
func (p Params) Only(wanted func(name string) bool) Params {
	values := maps.Clone(p.values)
	maps.DeleteFunc(values, func(name string, _ []string) bool { return !wanted(name) })
	return Params{values}
}

// Empty reports whether there is no parameter at all.
func (p Params) Empty() bool { return len(p.values) == 0 }

// Scopes splits a scope parameter (RFC 6749 §3.3) and drops repetitions.
func Scopes(raw string) ([]string, error) {
	if raw == "" {
		return nil, nil
	}
	var scopes []string
	seen := map[string]bool{}
	for s := range strings.SplitSeq(raw, " ") {
		if s == "" || len(s) > 128 || strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '"' || r == '\\' }) >= 0 {
			return nil, errors.New("a scope is not a scope-token")
		}
		if !seen[s] {
			seen[s] = true
			scopes = append(scopes, s)
		}
	}
	if len(scopes) > 100 {
		return nil, errors.New("more than 100 scopes")
	}
	return scopes, nil
}
