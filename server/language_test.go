package server

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/remit-auth/remit/server/oauth"
	"github.com/remit-auth/remit/web"
)

// textsInCode finds every text of this package that pages say: the constants and tables named
// text…, the literals given to say, and the sentences with which a person is refused.
func textsInCode(t *testing.T) map[string]token.Position {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "words_de") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	found := map[string]token.Position{}
	add := func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[text] = fset.Position(lit.Pos())
		}
		return true
	}
	values := func(n ast.Node) bool { // of a table: not its keys
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			ast.Inspect(kv.Value, add)
			return false
		}
		return add(n)
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if (strings.HasPrefix(name.Name, "text") || name.Name == "taskHeads" || name.Name == "ruleTexts") && i < len(n.Values) {
						ast.Inspect(n.Values[i], values)
					}
				}
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "say" && len(n.Args) > 1 {
					add(n.Args[1])
				}
				if name, ok := n.Fun.(*ast.SelectorExpr); ok && name.Sel.Name == "Refuse" && len(n.Args) == 2 {
					if lit, ok := n.Args[1].(*ast.BasicLit); ok && unicode.IsUpper(rune(lit.Value[1])) {
						add(lit)
					}
				}
			}
			return true
		})
	}
	return found
}

// sameInGerman are texts that German says alike, or that are names.
var sameInGerman = []string{"Name", "Id", "URI", "Guard", "Client", "Clients", "client_id", "Text", ""}

var verb = regexp.MustCompile(`%[.\d]*[a-z]`)

// TestGermanSaysEverything holds the German catalogue to the code: each text is in it, in other words
// and with the same verbs in the same order, and nothing else is.
func TestGermanSaysEverything(t *testing.T) {
	inCode := textsInCode(t)
	if len(inCode) < 300 {
		t.Fatalf("only %d texts were found in the code", len(inCode))
	}
	for text, at := range inCode {
		if strings.IndexFunc(verb.ReplaceAllString(text, ""), unicode.IsLetter) < 0 || slices.Contains(sameInGerman, text) {
			continue
		}
		switch said, ok := textGerman[text]; {
		case !ok:
			t.Errorf("%s: German lacks %q", at, text)
		case said == "" || said == text:
			t.Errorf("%s: %q is %q in German", at, text, said)
		case !slices.Equal(verb.FindAllString(said, -1), verb.FindAllString(text, -1)):
			t.Errorf("%s: %q has other verbs than %q", at, said, text)
		}
	}
}

func TestSayTime(t *testing.T) {
	at := time.Date(2026, time.March, 3, 9, 5, 7, 0, time.FixedZone("", 3600))
	tests := map[string]struct{ language, form, want string }{
		"day":            {web.English, formDay, "3 Mar 2026"},
		"day, German":    {web.German, formDay, "3. März 2026"},
		"minute, German": {web.German, formMinute, "3. März, 08:05 Uhr UTC"},
		"second, German": {web.German, formSecond, "3. März, 08:05:07 Uhr UTC"},
		"time, German":   {web.German, formSeconds, "08:05:07 Uhr UTC"},
		"time":           {web.English, formSeconds, "08:05:07 UTC"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sayTime(web.WithLanguage(t.Context(), tt.language), at, tt.form); got != tt.want {
				t.Errorf("sayTime = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSayRefusal(t *testing.T) {
	german := web.WithLanguage(context.Background(), web.German)
	tests := map[string]struct {
		ctx          context.Context
		said         string
		text, detail string
	}{
		"English":            {t.Context(), "the only response_type is code", "the only response_type is code", "invalid_request"},
		"to a developer":     {german, "the only response_type is code", textGerman[textRefusedOther], "invalid_request: the only response_type is code"},
		"to a person":        {german, "Choose what to do.", "Wählen Sie, was geschehen soll.", "invalid_request"},
		"translated already": {german, "Sagen Sie, warum.", "Sagen Sie, warum.", "invalid_request"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text, detail := sayRefusal(tt.ctx, oauth.Refuse(oauth.InvalidRequest, tt.said))
			if text != tt.text || detail != tt.detail {
				t.Errorf("sayRefusal = %q, %q; want %q, %q", text, detail, tt.text, tt.detail)
			}
		})
	}
}

func TestSayCondition(t *testing.T) {
	for line, want := range map[string]string{
		"Only Mon–Fri 08:00–18:00 America/Monterrey or Sat, Sun 09:00–12:00 UTC": "Nur Mo–Fr 08:00–18:00 America/Monterrey oder Sa, So 09:00–12:00 UTC",
		"Only from 10.0.0.0/8, 2001:db8::/32":                                    "Nur aus 10.0.0.0/8, 2001:db8::/32",
		"Only for apps added by an admin or known by their domain":               "Nur für Apps, die von der Administration eingetragen sind oder durch ihre Domain bekannt sind",
		"Only with a key-bound token":                                            "Nur mit einem an einen Schlüssel gebundenen Token",
	} {
		if got := sayCondition(web.WithLanguage(t.Context(), web.German), line); got != want {
			t.Errorf("sayCondition(%q) = %q, want %q", line, got, want)
		}
		if got := sayCondition(t.Context(), line); got != line {
			t.Errorf("sayCondition(%q) = %q in English", line, got)
		}
	}
}
