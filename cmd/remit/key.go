package main

import (
	"context"
	"fmt"
	"time"
)

type keyCmd struct {
	List   keyListCmd   `cmd:"" help:"List the keys of the ring."`
	Rotate keyRotateCmd `cmd:"" help:"Sign with a new key from now on."`
}

type keyListCmd struct{}

// Run lists the keys.
func (c *keyListCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "keys", nil, nil, func(out struct {
		Keys []struct {
			ID        string    `json:"kid"`
			Use       string    `json:"use"`
			Algorithm string    `json:"alg"`
			State     string    `json:"state"`
			CreatedAt time.Time `json:"created_at"`
		}
	},
	) error {
		var rows [][]string
		for _, k := range out.Keys {
			rows = append(rows, []string{k.ID, k.Use, k.Algorithm, k.State, shortTime(k.CreatedAt)})
		}
		return table(a.out, []string{"KEY", "USE", "ALGORITHM", "STATE", "MADE"}, rows)
	})
}

type keyRotateCmd struct{}

// Run rotates the signing key.
func (c *keyRotateCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "keys/rotate", nil, struct{}{}, func(out struct {
		ID string `json:"kid"`
	},
	) error {
		_, err := fmt.Fprintf(a.out, "signing with %s; the former key still verifies what it signed\n", out.ID)
		return err
	})
}
