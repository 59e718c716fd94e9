package server

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/remit-auth/remit/web"
)

// say is a text of the server in the language of the context's page, with its arguments. Every text
// stands in the code in English, which is its key in the other catalogues; what a catalogue lacks,
// such as words that a person or a stranger chose, is said as it is.
func say(ctx context.Context, text string, args ...any) string {
	if web.Language(ctx) == web.German {
		if said, ok := textGerman[text]; ok {
			text = said
		}
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// sayAll is say of each text.
func sayAll(ctx context.Context, texts ...string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = say(ctx, text)
	}
	return all
}

// fieldLocales is the parameter by which a client wishes for languages, and by which the forms of its
// sign-in remember that.
const fieldLocales = "ui_locales"

// speak chooses the language that answers the request: the client's wish, where it has one, and
// else the browser's.
func speak(r *http.Request, uiLocales string) *http.Request {
	accepted := strings.Join(r.Header.Values("Accept-Language"), ",")
	return r.WithContext(web.WithLanguage(r.Context(), web.ChooseLanguage(uiLocales, accepted)))
}

// wish is what a form's address needs to be answered in the language of its page, where that is not
// what the browser itself asks for.
func wish(r *http.Request) string {
	language := web.Language(r.Context())
	if language == web.Language(speak(r, "").Context()) {
		return ""
	}
	return "?" + fieldLocales + "=" + language
}

// The forms of dates and times, which are told in UTC: the server does not know where its reader is.
const (
	formDay     = "2 Jan 2006"
	formMinute  = "2 Jan 15:04 UTC"
	formSecond  = "2 Jan 15:04:05 UTC"
	formSeconds = "15:04:05 UTC"
)

// germanMonths are the short names of the months, as DIN 1355 has them.
var germanMonths = map[string]string{"Mar": "März", "May": "Mai", "Jun": "Juni", "Jul": "Juli", "Oct": "Okt.", "Dec": "Dez."}

// sayTime tells a time in one of these forms.
func sayTime(ctx context.Context, t time.Time, form string) string {
	t = t.UTC()
	if web.Language(ctx) != web.German {
		return t.Format(form)
	}
	month := t.Format("Jan")
	if name, ok := germanMonths[month]; ok {
		month = name
	} else {
		month += "."
	}
	switch form {
	case formDay:
		return fmt.Sprintf("%d. %s %d", t.Day(), month, t.Year())
	case formMinute:
		return fmt.Sprintf("%d. %s, %s Uhr UTC", t.Day(), month, t.Format("15:04"))
	case formSecond:
		return fmt.Sprintf("%d. %s, %s Uhr UTC", t.Day(), month, t.Format("15:04:05"))
	}
	return t.Format("15:04:05") + " Uhr UTC"
}

// sayNumber writes a number with the language's decimal sign.
func sayNumber(ctx context.Context, number string) string {
	if web.Language(ctx) == web.German {
		return strings.ReplaceAll(number, ".", ",")
	}
	return number
}

// conditionWords are the words of which policies make their conditions, in German.
var conditionWords = strings.NewReplacer(
	"Only from ", "Nur aus ", "Only for apps ", "Nur für Apps, die ", "Only with a key-bound token", "Nur mit einem an einen Schlüssel gebundenen Token",
	"added by an admin", "von der Administration eingetragen sind", "known by their domain", "durch ihre Domain bekannt sind",
	"that registered themselves", "sich selbst angemeldet haben", "Only ", "Nur ", " or ", " oder ",
)

// weekday stands where a day does, and in the name of no time zone.
var weekday = regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)([ ,–])`)

var germanDays = map[string]string{"Mon": "Mo", "Tue": "Di", "Wed": "Mi", "Thu": "Do", "Fri": "Fr", "Sat": "Sa", "Sun": "So"}

// sayCondition tells a line of policy.Condition, which holds nothing but our words, addresses, hours
// and the names of time zones.
func sayCondition(ctx context.Context, line string) string {
	if web.Language(ctx) != web.German {
		return line
	}
	return weekday.ReplaceAllStringFunc(conditionWords.Replace(line), func(day string) string {
		return germanDays[day[:3]] + day[3:]
	})
}
