package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// spellings are URIs that somebody on the way could take for that of the tickets.
func spellings() (all [][]string) {
	for _, uri := range []string{
		"https://tickets.example/x/../mcp", "https://tickets.example/x/%2e%2e/mcp", "https://tickets.example/x/..;/mcp", "https://tickets.example/x/..%3b/mcp", "https://tickets.example/./mcp",
		"https://tickets.example/x/%C0%AE%C0%AE/mcp", "https://tickets.example/x/%252e%252e/mcp", "https://tickets.example%2fmcp", "https://tickets.example/x%2f..%2fmcp", "https://tickets.example//mcp",
		`https://tickets.example/x\..\mcp`, `https://tickets.example\mcp`, "https://tickets.example/x%5C..%5Cmcp", "https://tickets.example/%6Dcp", "https://tickets.example/mcp%00", "https://tickets.example/mcp%20/..",
		"https://tickets.example:443/mcp", "https://TICKETS.example/mcp", "HTTPS://tickets.example/mcp", "https://tickets.example/mcp?", "https://tickets.example/mcp#", "https://u@tickets.example/mcp",
	} {
		all = append(all, []string{uri})
	}
	return all
}

// Nothing but the one spelling of a resource names it, wherever it is named; see TestGrantsRefuse and TestAddResource too.
func TestResourceIsSpeltOnce(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.client)
	d := w.grantClient("Headless")
	codes := []string{"invalid_target", "invalid_authorization_details"}
	refused := func(uri string, got answer) {
		t.Helper()
		if got.Status != 400 || !slices.Contains(codes, got.error()) {
			t.Errorf("%s: %d %s", uri, got.Status, got.Body)
		}
	}
	for _, spelling := range spellings() {
		uri := spelling[0]
		named := strings.ReplaceAll(details, ticketsURI, strings.ReplaceAll(uri, `\`, `\\`))
		request := with(with(a.request(), "resource", uri), "authorization_details", named)
		refused(uri, a.post("/par", request))
		refused(uri, d.post("/device", with(with(d.deviceRequest(), "resource", uri), "authorization_details", named)))
		request.Set("dpop_jkt", a.key.JKT())
		got := w.mara().get("/authorize?" + request.Encode())
		if back, err := url.Parse(got.Header.Get("Location")); err != nil || got.Status != http.StatusFound && got.Status != http.StatusSeeOther || !slices.Contains(codes, back.Query().Get("error")) {
			t.Errorf("authorize, %s: %d %s %s", uri, got.Status, got.Header.Get("Location"), got.words())
		}
		for _, one := range []url.Values{with(a.request(), "authorization_details", named), with(a.request(), "resource", uri)} { // named twice, differently
			refused(uri, a.post("/par", one))
		}
	}
	if got := a.post("/par", a.request()); got.Status != http.StatusCreated {
		t.Errorf("the one spelling: %d %s", got.Status, got.Body)
	}
}
