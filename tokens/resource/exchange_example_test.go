package resource_test

import (
	"context"
	"net/http"

	"github.com/remit-auth/remit/tokens/resource"
)

// A tool reaches the server behind it for the user who called: with a token of its own for that server,
// never with the one that it was called with.
func ExampleGuard_Backend() {
	var guard *resource.Guard // of resource.New
	_ = func() {
		backend := &http.Client{Transport: guard.Backend("https://crm.example/mcp", nil, "contacts.read")}
		tool := func(ctx context.Context) error { // ctx of a request that guard.Protect let through
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://crm.example/mcp/contacts", nil)
			if err != nil {
				return err
			}
			res, err := backend.Do(r)
			if err != nil {
				return err
			}
			return res.Body.Close()
		}
		_ = tool
	}
	// Output:
}
