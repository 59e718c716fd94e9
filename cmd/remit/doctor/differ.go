package doctor

import (
	"net/url"
	"strings"
)

// differ says how two URLs that should be one differ, and what sets that right. want is the one by
// which the client got there, got what the document says. setting is where the operator writes it.
func differ(want, got, setting string) (how, fix string) {
	w, errW := url.Parse(want)
	g, errG := url.Parse(got)
	if errW != nil || errG != nil || g.Host == "" {
		return "it is no URL", "set " + setting + " to " + want
	}
	fix = "set " + setting + " to " + want + ", or reach it at " + got
	switch {
	case w.Scheme != g.Scheme:
		return "the scheme differs: a proxy in front ends TLS, and the server behind it says " + g.Scheme, "set " + setting + " to " + want + ", the URL that the proxy serves"
	case !strings.EqualFold(w.Hostname(), g.Hostname()):
		return "the host differs: a proxy serves it under another name than its own", "set " + setting + " to " + want + ", the URL that the proxy serves"
	case w.Host != g.Host && strings.EqualFold(w.Host, g.Host):
		return "the host differs by case, and clients compare bytes", fix
	case w.Port() != g.Port():
		return "the port differs: it is another one outside than inside, or a default port is written out", fix
	case strings.TrimSuffix(w.Path, "/") == strings.TrimSuffix(g.Path, "/"):
		return "a slash at the end differs, and clients compare bytes", fix
	case w.Path != g.Path:
		return "the path differs: a proxy adds or strips a prefix", fix
	}
	return "they differ in spelling, and clients compare bytes", fix
}

func originOf(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }
