package web

import (
	"context"
	"strconv"
	"strings"
)

// Languages that pages speak, as BCP 47 tags. The first is spoken where none of them is wanted.
const (
	English = "en"
	German  = "de"
)

// catalogues are the texts of each language.
var catalogues = map[string]*words{English: &english, German: &german}

type languageKey struct{}

// WithLanguage is the context in which pages are rendered in this language.
func WithLanguage(ctx context.Context, language string) context.Context {
	return context.WithValue(ctx, languageKey{}, language)
}

// Language is the language of the context: one of ours, always.
func Language(ctx context.Context) string {
	if language, _ := ctx.Value(languageKey{}).(string); catalogues[language] != nil {
		return language
	}
	return English
}

// say is the catalogue of the context's language.
func say(ctx context.Context) *words { return catalogues[Language(ctx)] }

// maxTags is how many of the languages that somebody wants are looked at.
const maxTags = 32

// ChooseLanguage finds the language to speak: the first that the client's ui_locales name (OpenID
// Connect Core 1.0 §3.1.2.1), or else the one that the browser's Accept-Language likes best
// (RFC 9110 §12.5.4). Only the primary subtag counts: de-CH is German.
func ChooseLanguage(uiLocales, acceptLanguage string) string {
	for i, tag := range strings.Fields(uiLocales) {
		if language := primary(tag); i < maxTags && catalogues[language] != nil {
			return language
		}
	}
	best, weight := English, 0.0
	for i, item := range strings.SplitN(acceptLanguage, ",", maxTags+1) {
		tag, params, _ := strings.Cut(item, ";")
		language := primary(tag)
		if i == maxTags || catalogues[language] == nil {
			continue
		}
		if q := quality(params); q > weight {
			best, weight = language, q
		}
	}
	return best
}

func primary(tag string) string {
	language, _, _ := strings.Cut(strings.TrimSpace(tag), "-")
	return strings.ToLower(language)
}

// quality is the weight of one item (RFC 9110 §12.4.2); what cannot be read weighs nothing.
func quality(params string) float64 {
	name, value, found := strings.Cut(strings.TrimSpace(params), "=")
	if !found && params == "" {
		return 1
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if strings.TrimSpace(strings.ToLower(name)) != "q" || err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}
