package mcpauth

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// live are the sessions of this process's own, by which live definitions are read. No network
// reaches them.
var live sync.Map // *mcp.ServerSession → struct{}

// isLive reports whether the request came by such a session.
func isLive(req mcp.Request) bool {
	session, ok := req.GetSession().(*mcp.ServerSession)
	if !ok || session == nil {
		return false
	}
	_, ok = live.Load(session)
	return ok
}

// Tools returns the live definitions of the server's tools, for resource.Config.Tools: what
// tools/list would answer to somebody who may see them all.
func Tools(server *mcp.Server) func(context.Context) ([]json.RawMessage, error) {
	return func(ctx context.Context) ([]json.RawMessage, error) {
		here, there := mcp.NewInMemoryTransports()
		session, err := server.Connect(ctx, here, nil)
		if err != nil {
			return nil, err
		}
		live.Store(session, struct{}{})
		defer func() {
			session.Close()
			live.Delete(session)
		}()
		client := mcp.NewClient(&mcp.Implementation{Name: "remit-guard", Version: "1"}, nil)
		reader, err := client.Connect(ctx, there, nil)
		if err != nil {
			return nil, err
		}
		defer reader.Close()
		var all []json.RawMessage
		for tool, err := range reader.Tools(ctx, nil) {
			if err != nil {
				return nil, err
			}
			raw, err := json.Marshal(tool)
			if err != nil {
				return nil, err
			}
			all = append(all, raw)
		}
		return all, nil
	}
}
