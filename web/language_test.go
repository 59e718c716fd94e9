package web

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
)

// eachText walks a catalogue with all its parts.
func eachText(v reflect.Value, name string, found func(name, text string)) {
	for i := range v.NumField() {
		field := name + v.Type().Field(i).Name
		if v.Field(i).Kind() == reflect.Struct {
			eachText(v.Field(i), field+".", found)
			continue
		}
		found(field, v.Field(i).String())
	}
}

func textsOf(w *words) map[string]string {
	all := map[string]string{}
	eachText(reflect.ValueOf(*w), "", func(name, text string) { all[name] = text })
	return all
}

var placeholder = regexp.MustCompile(`\{\d\}`)

func placeholders(text string) []string {
	all := placeholder.FindAllString(text, -1)
	slices.Sort(all)
	return all
}

// TestCatalogues: every language says everything, with the same placeholders, in its own words.
func TestCatalogues(t *testing.T) {
	want := textsOf(&english)
	for language, catalogue := range catalogues {
		got := textsOf(catalogue)
		if got["Lang"] != language {
			t.Errorf("the catalogue of %s calls itself %q", language, got["Lang"])
		}
		for name, text := range got {
			if text == "" {
				t.Errorf("%s has no %s", language, name)
			}
			if !slices.Equal(placeholders(text), placeholders(want[name])) {
				t.Errorf("%s: %s is %q; the placeholders are those of %q", language, name, text, want[name])
			}
			letters := strings.IndexFunc(placeholder.ReplaceAllString(text, ""), unicode.IsLetter) >= 0
			if language != English && letters && text == want[name] {
				t.Errorf("%s: %s is English: %q", language, name, text)
			}
		}
	}
}

// TestNoEnglishOnGermanPages looks at every text and every spoken attribute of the samples in
// German for a text of the English catalogue.
func TestNoEnglishOnGermanPages(t *testing.T) {
	inEnglish := map[string]string{}
	for name, text := range textsOf(&english) {
		for _, p := range parts(text) {
			if p.Arg < 0 && strings.IndexFunc(p.Text, unicode.IsLetter) >= 0 {
				inEnglish[strings.TrimSpace(p.Text)] = name
			}
		}
	}
	for _, text := range textsOf(&german) { // the same word in both
		for _, p := range parts(text) {
			delete(inEnglish, strings.TrimSpace(p.Text))
		}
	}
	for name, page := range samples(func(s string) string { return "§" + s }) { // what is not ours
		var b strings.Builder
		if err := page.Render(WithLanguage(t.Context(), German), &b); err != nil {
			t.Fatal(err)
		}
		doc := parse(t, b.String())
		spoken(doc, func(text string) {
			if field, ok := inEnglish[strings.TrimSpace(text)]; ok {
				t.Errorf("%s in German says %q (%s)", name, strings.TrimSpace(text), field)
			}
		})
		if !strings.Contains(b.String(), `<html lang="de">`) {
			t.Errorf("%s in German does not say so", name)
		}
	}
}

// spoken finds every text of a page, also what attributes say.
func spoken(n *html.Node, found func(string)) {
	if n.Type == html.TextNode {
		found(n.Data)
	}
	for _, a := range n.Attr {
		if slices.Contains([]string{"aria-label", "alt", "title", "placeholder", "data-on", "data-off", "data-lost"}, a.Key) {
			found(a.Val)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		spoken(c, found)
	}
}

func TestChooseLanguage(t *testing.T) {
	tests := map[string]struct{ locales, accept, want string }{
		"nothing said":            {"", "", English},
		"the browser's":           {"", "de-DE,de;q=0.9,en;q=0.8", German},
		"the browser's, by q":     {"", "de;q=0.5, en;q=0.9", English},
		"first of equals":         {"", "de, en", German},
		"none of ours":            {"", "fr-FR,fr", English},
		"another before ours":     {"", "fr,de;q=0.5", German},
		"not wanted":              {"", "de;q=0", English},
		"q out of bounds":         {"", "de;q=7, en;q=0.1", English},
		"q not a number":          {"", "de;q=NaN", English},
		"case":                    {"", "DE-at", German},
		"the client's":            {"de", "en", German},
		"the client's, in order":  {"fr-CA de-CH en", "en", German},
		"the client's, not ours":  {"fr", "de", German},
		"a wildcard":              {"", "*", English},
		"more than are looked at": {"", strings.Repeat("fr,", 40) + "de", English},
		"hostile":                 {"<script>", "\x00;;,=;q", English},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ChooseLanguage(tt.locales, tt.accept); got != tt.want {
				t.Errorf("ChooseLanguage(%q, %q) = %q, want %q", tt.locales, tt.accept, got, tt.want)
			}
		})
	}
}

func FuzzChooseLanguage(f *testing.F) {
	f.Add("de en", "de-DE,de;q=0.9")
	f.Fuzz(func(t *testing.T, locales, accept string) {
		if got := ChooseLanguage(locales, accept); catalogues[got] == nil {
			t.Errorf("ChooseLanguage(%q, %q) = %q", locales, accept, got)
		}
	})
}
