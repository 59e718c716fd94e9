package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// wiretap writes each exchange of a client to the transcript, one line each.
type wiretap struct {
	*transcript
	issuer string
}

// RoundTrip implements http.RoundTripper.
func (tap wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet && resp.StatusCode == http.StatusMethodNotAllowed {
		return resp, nil // the SDK tries for a stream, in its own time
	}
	to := "resource"
	if strings.HasPrefix(r.URL.String(), tap.issuer) {
		to = "remit"
	}
	tap.write("%s", strings.TrimRight(fmt.Sprintf("  %-8s %-4s %s %s", to, r.Method, r.URL.Path, asked(r, body)), " "))
	tap.write("%s", strings.TrimRight(fmt.Sprintf("           %d %s", resp.StatusCode, answered(resp)), " "))
	return resp, nil
}

// asked says what a request is about.
func asked(r *http.Request, body []byte) string {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return err.Error()
		}
		return "grant_type=" + form.Get("grant_type")
	}
	var m struct {
		Method string
		Params struct{ Name string }
		Client string `json:"client_name"`
	}
	if json.Unmarshal(body, &m) != nil {
		return ""
	}
	return strings.TrimSpace(m.Method + " " + m.Params.Name + m.Client)
}

// answered says what matters of an answer, and leaves it unread.
func answered(resp *http.Response) string {
	var said []string
	if c := resp.Header.Values("WWW-Authenticate"); len(c) > 0 {
		said = append(said, c[0])
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return strings.Join(said, " ")
	}
	raw, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	var m struct {
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Scope   string
		ID      string `json:"client_id"`
		Error   any
		Text    string `json:"error_description"`
	}
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return strings.Join(said, " ")
	}
	switch e := m.Error.(type) {
	case map[string]any:
		data, _ := e["data"].(map[string]any)
		for _, member := range []string{"hint", "code"} {
			if text, ok := data[member].(string); ok {
				said = append([]string{text + ";"}, said...)
			}
		}
	case string:
		said = append(said, e+": "+m.Text)
	}
	switch {
	case m.Type != "":
		said = append(said, fmt.Sprintf("token_type=%s expires_in=%d scope=%q", m.Type, m.Expires, sorted(m.Scope)))
	case m.ID != "":
		said = append(said, "client_id="+m.ID)
	}
	return strings.Join(said, " ")
}
