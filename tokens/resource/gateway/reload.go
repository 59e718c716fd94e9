package gateway

import (
	"errors"
	"fmt"

	"github.com/remit-auth/remit/tokens/resource"
)

// Reload has every Guard read its policy file again, as each does by itself every two seconds. Where
// one is refused, that Guard's old policy stays.
func (g *Gateway) Reload() error {
	var errs []error
	for _, r := range g.routes {
		behind := r.behind.Load()
		if behind == nil {
			continue // it will read the file when it begins
		}
		if err := behind.Reload(); err != nil {
			errs = append(errs, fmt.Errorf("gateway: %s: %w", r.resource, err))
		}
	}
	return errors.Join(errs...)
}

// Policies tells, by resource, which policy is in force and why a newer one is not.
func (g *Gateway) Policies() map[string]resource.PolicyStatus {
	all := map[string]resource.PolicyStatus{}
	for _, r := range g.routes {
		if behind := r.behind.Load(); behind != nil {
			all[r.resource] = behind.PolicyStatus()
		}
	}
	return all
}
