package resource

import "net/http"

// stream lets through what carries no message, where the configuration says that the server behind
// serves it: GET opens a stream of what a server says by itself, or resumes one; DELETE ends a
// session (MCP 2025-11-25, streamable HTTP). Whose a session is, the server behind must know: all
// that was judged here is the token.
func (c *call) stream() *refusal {
	if c.g.streams && (c.r.Method == http.MethodGet || c.r.Method == http.MethodDelete) {
		c.msg.method = c.r.Method
		return nil
	}
	allow := http.MethodPost
	if c.g.streams {
		allow = "GET, POST, DELETE"
	}
	c.w.Header().Set("Allow", allow)
	return refuse(BadRequest, "messages are sent with POST").status(http.StatusMethodNotAllowed)
}
