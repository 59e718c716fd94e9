package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/upstream"
)

// upstreamFile is the file of REMIT_UPSTREAM_FILE: the OpenID providers that users may sign in with.
type upstreamFile struct {
	Providers []upstreamProvider `yaml:"providers"`
	CAFile    string             `yaml:"ca_file"` // authorities of private providers, PEM; empty: the system's
}

type upstreamProvider struct {
	Name             string   `yaml:"name"`
	Title            string   `yaml:"title"`
	Issuer           string   `yaml:"issuer"`
	ClientID         string   `yaml:"client_id"`
	ClientSecret     string   `yaml:"client_secret"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	Scopes           []string `yaml:"scopes"`
	GroupsClaim      string   `yaml:"groups_claim"`
	Groups           []string `yaml:"groups"`
	AddUsers         bool     `yaml:"add_users"`
	LogoutEndsTasks  bool     `yaml:"logout_ends_tasks"`
	Roles            []struct {
		Group    string   `yaml:"group"`
		Resource string   `yaml:"resource"`
		Roles    []string `yaml:"roles"`
	} `yaml:"roles"`
}

// upstream tells the server of the providers.
func (c Config) upstream(into *server.Config) error {
	if c.UpstreamFile == "" {
		return nil
	}
	raw, err := os.ReadFile(c.UpstreamFile)
	if err != nil {
		return fmt.Errorf("REMIT_UPSTREAM_FILE: %w", err)
	}
	var f upstreamFile
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("REMIT_UPSTREAM_FILE: %s: %w", c.UpstreamFile, err)
	}
	for _, p := range f.Providers {
		if p.ClientSecret != "" { // the file itself holds a secret
			if _, err := readSecret(c.UpstreamFile); err != nil {
				return fmt.Errorf("REMIT_UPSTREAM_FILE: %w", err)
			}
		}
		provider, err := p.config()
		if err != nil {
			return fmt.Errorf("REMIT_UPSTREAM_FILE: %s: %w", p.Name, err)
		}
		into.Upstream = append(into.Upstream, provider)
	}
	if f.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(f.CAFile)
	if err != nil {
		return fmt.Errorf("REMIT_UPSTREAM_FILE: ca_file: %w", err)
	}
	into.UpstreamRoots = x509.NewCertPool()
	if !into.UpstreamRoots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("REMIT_UPSTREAM_FILE: ca_file: %s holds no certificate", f.CAFile)
	}
	return nil
}

func (p upstreamProvider) config() (upstream.Config, error) {
	c := upstream.Config{
		Name: p.Name, Title: p.Title, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
		Scopes: p.Scopes, GroupsClaim: p.GroupsClaim, Groups: p.Groups, AddUsers: p.AddUsers, LogoutEndsTasks: p.LogoutEndsTasks,
	}
	for _, r := range p.Roles {
		c.Roles = append(c.Roles, upstream.GroupRoles{Group: r.Group, Resource: r.Resource, Roles: r.Roles})
	}
	if p.ClientSecretFile == "" {
		return c, nil
	}
	if p.ClientSecret != "" {
		return c, errors.New("client_secret and client_secret_file: set one of them")
	}
	raw, err := readSecret(p.ClientSecretFile)
	c.ClientSecret = strings.TrimSpace(string(raw))
	return c, err
}
