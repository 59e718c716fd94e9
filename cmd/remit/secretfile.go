package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// readSecret reads a file that holds a secret: none that anybody on this machine may read or change.
// What its group may do is left to the operator and named at the start (groupSecrets): Kubernetes gives
// files of secrets the mode 0440 and the pod's group, and files of volumes back with 0660.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what is read, not of what has the name by then
	if err != nil {
		return nil, err
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// private refuses a file that anybody on this machine may open. A pipe is nobody else's.
func private(path string, info fs.FileInfo) error {
	if modesTell && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s holds a secret and anybody on this machine may open it (mode %04o); chmod 600 it, and let it be the server's own (a Kubernetes secret: defaultMode 0440 and an fsGroup)", path, info.Mode().Perm())
	}
	return nil
}

// groupSecrets are those of the files that the process's own user keeps and that a group may open too.
// What another user keeps, root as a rule, is given to us by that group.
func groupSecrets(paths []string) (shared []string) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o070 != 0 && ours(info) {
			shared = append(shared, path)
		}
	}
	return shared
}

// secretFiles are the files with secrets that these settings name.
func (c Config) secretFiles() []string {
	all := append([]string{}, c.SecretFiles...)
	if c.MasterKey == "" && len(c.MasterKeyURL) == 0 {
		path, _ := c.masterKeyPath()
		all = append(all, path)
	}
	for _, path := range []string{c.TLSKey, c.UpstreamFile} {
		if path != "" {
			all = append(all, path)
		}
	}
	return all
}

// holdsSecret reports whether one of the values is a secret: the address of a database where it has a
// password, that of a master key where it is the key itself.
func holdsSecret(values map[string]any) bool {
	for _, key := range secretKeys {
		if values[key] == nil {
			continue
		}
		text := fmt.Sprint(values[key]) // digits are a number in YAML
		if text != "" && (!strings.HasSuffix(key, "_url") || redacted(text) != text) {
			return true
		}
	}
	return strings.Contains(fmt.Sprint(values["master_key_url"]), "base64key:")
}

// loadKeyPair reads a TLS certificate and its private key.
func loadKeyPair(cert, key string) (tls.Certificate, error) {
	public, err := os.ReadFile(cert)
	private, keyErr := readSecret(key)
	if err := errors.Join(err, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(public, private)
}
