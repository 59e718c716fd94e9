package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/remit-auth/remit/tokens/resource/gateway"
)

// reloadOnHangup reads the policy files again at SIGHUP, until the context ends. They are read again
// without it too, when they change.
func reloadOnHangup(ctx context.Context, g *gateway.Gateway, log *slog.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-hangups:
			if err := g.Reload(); err != nil {
				log.Error("a policy file was refused; the old policy stays in force", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
