package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/remit-auth/remit/tokens/resource/gateway"
)

type gatewayCmd struct {
	File     string     `arg:"" help:"YAML with listen, tls or dev, issuer, and the upstreams (docs/gateway.md)." placeholder:"gateway.yaml"`
	LogLevel slog.Level `help:"debug, info, warn or error." default:"info"`
	LogJSON  bool       `name:"log-json" help:"Log in JSON."`
}

// Run serves the upstreams until the context ends.
func (c *gatewayCmd) Run(ctx context.Context, a *app) (err error) {
	file, err := readGatewayFile(c.File)
	if err != nil {
		return err
	}
	log := (&serveCmd{LogLevel: c.LogLevel, LogJSON: c.LogJSON}).logger(a)
	config, err := file.config(a.environ, log)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	forget, err := file.openReplays(ctx, a.environ, &config)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	defer func() { err = errors.Join(err, forget()) }() // after the Guards have closed
	listen, err := file.open(log)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	g, err := gateway.New(ctx, config)
	if err != nil {
		return errors.Join(err, listen.Close())
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	go reloadOnHangup(ctx, g, log)
	d := newDrainer(&http.Server{
		Handler: g, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, // no WriteTimeout: streams bound each write
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}, listen)
	failed := make(chan error, 1)
	go func() { failed <- d.serve() }()
	if err := c.announce(a, listen, file); err != nil {
		return errors.Join(err, listen.Close())
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Calls under way may finish; what streams without end is cut.
	ending, cancel := context.WithTimeout(context.Background(), gatewayDrain)
	defer cancel()
	if err := d.drain(ending); err != nil {
		log.Warn("requests were cut off", "err", err)
	}
	return nil
}

// gatewayDrain is how long calls under way may last when the gateway is told to end.
const gatewayDrain = 10 * time.Second

func (c *gatewayCmd) announce(a *app, listen net.Listener, file *gatewayFile) error {
	var resources []string
	for _, u := range file.Upstreams {
		resources = append(resources, u.Resource)
	}
	if a.json {
		return writeJSON(a.out, map[string]any{"listen": listen.Addr().String(), "resources": resources})
	}
	for _, r := range resources {
		if _, err := fmt.Fprintf(a.out, "remit gateway serves %s on %s\n", plain(r), listen.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// open listens, with TLS where the file says so.
func (f *gatewayFile) open(log *slog.Logger) (net.Listener, error) {
	secured := func(l net.Listener) net.Listener { return l }
	if f.TLS.Cert != "" {
		certificate, err := newKeyPair(f.beside(f.TLS.Cert), f.beside(f.TLS.Key), log)
		if err != nil {
			return nil, err
		}
		secured = certificate.over
	}
	listen, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return secured(listen), nil
}
