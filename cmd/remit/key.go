package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

type keyCmd struct {
	List      keyListCmd      `cmd:"" help:"List the keys of the ring."`
	Rotate    keyRotateCmd    `cmd:"" help:"Let the next key sign from now on."`
	Kill      keyKillCmd      `cmd:"" help:"Emergency: make a stolen key, and all that it has signed, worthless everywhere."`
	Rewrap    keyRewrapCmd    `cmd:"" help:"Wrap the data keys under the newest master key."`
	NewMaster keyNewMasterCmd `cmd:"" help:"Print a fresh master key."`
	JWKS      keyJWKSCmd      `cmd:"" name:"jwks" help:"Print every public key there ever was, for remit audit verify --jwks."`
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

type keyKillCmd struct {
	ID     string `arg:"" help:"The key, as remit key list names it." placeholder:"KID"`
	Reason string `help:"For the ledger." placeholder:"TEXT"`
}

// Run kills a signing key.
func (c *keyKillCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "keys/kill", nil, map[string]string{"kid": c.ID, "reason": c.Reason}, func(out struct {
		Signer string `json:"signer"`
	},
	) error {
		_, err := fmt.Fprintf(a.out, "%s is dead: no token that it signed is accepted; signing with %s\n", plain(c.ID), out.Signer)
		return err
	})
}

type keyRewrapCmd struct{}

// Run wraps the data keys anew.
func (c *keyRewrapCmd) Run(ctx context.Context, a *app) error {
	return ask(ctx, a, "keys/rewrap", nil, struct{}{}, func(out struct {
		Keys int `json:"keys"`
	},
	) error {
		_, err := fmt.Fprintf(a.out, "%d keys sealed anew; the former master key opens nothing here any more\n", out.Keys)
		return err
	})
}

type keyNewMasterCmd struct{}

// Run prints a master key.
func (c *keyNewMasterCmd) Run(a *app) error {
	if a.json {
		return writeJSON(a.out, map[string]string{"master_key": newMasterKey()})
	}
	_, err := fmt.Fprintln(a.out, newMasterKey())
	return err
}

type keyJWKSCmd struct{}

// Run prints the public keys.
func (c *keyJWKSCmd) Run(ctx context.Context, a *app) (err error) {
	server, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	body, err := server.raw(ctx, "keys/jwks", nil, nil)
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(body, '\n'))
	return err
}
