package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/remit-auth/remit/docs"
)

// contract is the published description of the admin API.
type contract struct {
	doc       libopenapi.Document
	model     *v3.Document
	validator validator.Validator
}

var published = sync.OnceValues(func() (c contract, err error) {
	if c.doc, err = libopenapi.NewDocument(docs.OpenAPI); err != nil {
		return c, err
	}
	built, err := c.doc.BuildV3Model()
	if err != nil {
		return c, err
	}
	c.model = &built.Model
	v, errs := validator.NewValidator(c.doc)
	if len(errs) > 0 {
		return c, errs[0]
	}
	c.validator = v
	return c, nil
})

// keeps holds one exchange with the admin API to its description. What was refused may have been
// asked in any way; the refusal is described too.
func (c contract) keeps(t testing.TB, r *http.Request, body []byte, resp *http.Response, answered []byte) {
	t.Helper()
	if resp.StatusCode < 300 {
		r := r.Clone(r.Context())
		r.Body = http.NoBody
		if r.Method == http.MethodPost {
			r.Body = httptest.NewRequest("POST", "/", bytes.NewReader(body)).Body
		}
		if ok, errs := c.validator.ValidateHttpRequest(r); !ok {
			for _, e := range errs {
				t.Errorf("openapi: %s %s %s: %s", r.Method, r.URL, body, e)
			}
		}
	}
	if resp.Header.Get("Content-Type") == "application/jsonl" { // no JSON as a whole
		record := c.model.Components.Schemas.GetOrZero("Record").Schema()
		for line := range bytes.Lines(answered) {
			if ok, errs := schema_validation.NewSchemaValidator().ValidateSchemaBytes(record, line); !ok {
				t.Errorf("openapi: a record %s: %v", line, errs)
			}
		}
		return
	}
	if resp.Header.Get("Content-Type") == "application/x-ndjson" { // nor this
		for line := range bytes.Lines(answered) {
			if !json.Valid(line) {
				t.Errorf("openapi: %s %s: a line %s", r.Method, r.URL, line)
			}
		}
		return
	}
	answer := &http.Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: httptest.NewRequest("POST", "/", bytes.NewReader(answered)).Body}
	if ok, errs := c.validator.ValidateHttpResponse(r, answer); !ok {
		for _, e := range errs {
			t.Errorf("openapi: %s %s: %d %s: %s", r.Method, r.URL, resp.StatusCode, answered, e)
			for _, s := range e.SchemaValidationErrors {
				t.Errorf("openapi: … %s: %s", s.FieldPath, s.Reason)
			}
		}
	}
}

// TestOpenAPI: the description is valid itself, and describes every route of the admin API and no other.
func TestOpenAPI(t *testing.T) {
	c, err := published()
	must(t, err)
	if ok, errs := c.validator.ValidateDocument(); !ok {
		t.Fatal(errs)
	}
	var described, served []string
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			described = append(described, strings.ToUpper(method)+" "+path)
			if op.OperationId == "" || op.Summary == "" || op.Responses.Default == nil {
				t.Errorf("%s %s has no name, summary or refusal", method, path)
			}
		}
	}
	w := newWorld(t)
	for _, route := range w.server.AdminRoutes() {
		served = append(served, route[0]+" "+route[1])
	}
	slices.Sort(described)
	slices.Sort(served)
	for _, route := range served {
		if !slices.Contains(described, route) {
			t.Errorf("%s is not described", route)
		}
	}
	for _, route := range described {
		if !slices.Contains(served, route) {
			t.Errorf("%s is described and not served", route)
		}
	}
	if got := w.operator("GET", "/admin/api/openapi.yaml", nil); got.Status != http.StatusOK || got.Body != string(docs.OpenAPI) || got.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("the description is served as %d %s", got.Status, got.Header.Get("Content-Type"))
	}
}

// TestOpenAPIHolds: the check itself notices what the description does not say.
func TestOpenAPIHolds(t *testing.T) {
	c, err := published()
	must(t, err)
	for name, body := range map[string]string{
		"a member more": `{"users":[],"more":1}`, "a member less": `{}`, "another type": `{"users":{}}`,
		"a member more, deep": `{"users":[{"id":"u","email":"e","name":"n","console_role":"user","read_args":false,"password":true,"disabled":false,"created_at":"2026-07-06T08:00:00Z","password_hash":"x"}]}`,
	} {
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: httptest.NewRequest("POST", "/", strings.NewReader(body)).Body}
		if ok, _ := c.validator.ValidateHttpResponse(httptest.NewRequest("GET", "/admin/api/users", nil), resp); ok {
			t.Errorf("%s passes", name)
		}
	}
	for name, body := range map[string]string{"a member more": `{"user":"u","x":1}`, "a member less": `{}`} {
		r := httptest.NewRequest("POST", "/admin/api/users/disable", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if ok, _ := c.validator.ValidateHttpRequest(r); ok {
			t.Errorf("a request with %s passes", name)
		}
	}
}
