package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/remit-auth/remit/tokens/resource/gateway"
	"github.com/remit-auth/remit/tokens/resource/redisreplay"
)

// gatewayReplay is a Redis that remembers used proofs for all replicas of the gateway. Its URL may hold
// a password, so the file names where the URL is.
type gatewayReplay struct {
	URLEnv    string   `yaml:"redis_url_env"` // variable or file
	URLFile   string   `yaml:"redis_url_file"`
	Sentinels []string `yaml:"sentinels"` // that know the server whose name master is
	Master    string   `yaml:"master"`
	Limit     int      `yaml:"limit"` // proofs remembered; 0: 1,048,576
}

// openReplays connects to the memories that upstreams name. A memory that is named and cannot be
// reached is an error: without it, a stolen proof would work once at each replica.
func (f *gatewayFile) openReplays(ctx context.Context, environ []string, config *gateway.Config) (forget func() error, err error) {
	var all []*redisreplay.Memory
	forget = func() error {
		var errs []error
		for _, m := range all {
			errs = append(errs, m.Close())
		}
		return errors.Join(errs...)
	}
	for i, u := range f.Upstreams {
		if u.Replay == nil {
			continue
		}
		m, err := f.openReplay(ctx, environ, u)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("upstream %s: replay: %w", u.Resource, err), forget())
		}
		all = append(all, m)
		config.Upstreams[i].Guard.Replay = m
	}
	return forget, nil
}

func (f *gatewayFile) openReplay(ctx context.Context, environ []string, u gatewayUpstream) (*redisreplay.Memory, error) {
	r := u.Replay
	address := lookup(environ, r.URLEnv)
	if r.URLFile != "" {
		raw, err := readSecret(f.beside(r.URLFile))
		if err != nil {
			return nil, err
		}
		address = string(raw)
	}
	return redisreplay.Open(ctx, redisreplay.Options{
		URL: strings.TrimSpace(address), Sentinels: r.Sentinels, Master: r.Master, Resource: u.Resource, Limit: r.Limit,
	})
}
