// Command image builds Remit's container image from a static binary, without a Docker daemon: an OCI
// image layout in one tar file, with the same bytes for the same input. It is written for `docker
// load`, `podman load`, `skopeo copy oci-archive:remit.tar docker://…` and the like.
//
//	CGO_ENABLED=0 go build -trimpath -o bin/remit ./cmd/remit
//	go run ./deploy/image -binary bin/remit -out remit.tar
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// user is who the server runs as: nobody that a host knows.
const user = 65532

// The rest of what the image says.
const (
	entrypoint = "/remit"
	dataDir    = "/data"
	title      = "Remit"
	about      = "OAuth 2.1 authorization server for AI agents"
	source     = "https://github.com/remit-auth/remit"
)

func main() {
	binary := flag.String("binary", "bin/remit", "static binary")
	certs := flag.String("certs", "/etc/ssl/certs/ca-certificates.crt", "CA certificates")
	out := flag.String("out", "remit.tar", "OCI archive to write")
	version := flag.String("version", "devel", "version, as the image's label and tag")
	arch := flag.String("arch", runtime.GOARCH, "architecture of the binary")
	flag.Parse()
	if err := run(*binary, *certs, *out, *version, *arch); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(binary, certs, out, version, arch string) error {
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	bundle, err := os.ReadFile(certs)
	if err != nil {
		return err
	}
	archive, err := build(program, bundle, version, arch)
	if err != nil {
		return err
	}
	return os.WriteFile(out, archive, 0o644)
}

// file is an entry of a tar; a name that ends in a slash is a directory.
type file struct {
	name  string
	body  []byte
	mode  int64
	owner int
}

// layer is the image's one file system layer.
func layer(program, certs []byte) ([]byte, error) {
	passwd := fmt.Sprintf("root:x:0:0:root:/:/sbin/nologin\nremit:x:%d:%d:Remit:%s:/sbin/nologin\n", user, user, dataDir)
	group := fmt.Sprintf("root:x:0:\nremit:x:%d:\n", user)
	return pack([]file{
		{"etc/", nil, 0o755, 0},
		{"etc/group", []byte(group), 0o644, 0},
		{"etc/nsswitch.conf", []byte("hosts: files dns\n"), 0o644, 0},
		{"etc/passwd", []byte(passwd), 0o644, 0},
		{"etc/ssl/", nil, 0o755, 0},
		{"etc/ssl/certs/", nil, 0o755, 0},
		{"etc/ssl/certs/ca-certificates.crt", certs, 0o644, 0},
		{"data/", nil, 0o700, user},
		{"remit", program, 0o755, 0},
		{"tmp/", nil, 0o1777, 0},
	})
}

// pack writes a tar whose bytes depend on its files alone.
func pack(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.body)),
			Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		}
		if f.name[len(f.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.Copy(w, bytes.NewReader(f.body)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// descriptor points at a blob (OCI image specification, content descriptors).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    map[string]string `json:"platform,omitempty"`
}

func describe(mediaType string, blob []byte) descriptor {
	sum := sha256.Sum256(blob)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: len(blob)}
}

// path is where the layout keeps the blob.
func (d descriptor) path() string { return "blobs/sha256/" + d.Digest[len("sha256:"):] }

// build returns the OCI image layout as a tar.
func build(program, certs []byte, version, arch string) ([]byte, error) {
	rootfs, err := layer(program, certs)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title": title, "org.opencontainers.image.description": about,
		"org.opencontainers.image.source": source, "org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version": version,
	}
	root := describe("application/vnd.oci.image.layer.v1.tar", rootfs)
	config, err1 := json.Marshal(map[string]any{
		"created": time.Unix(0, 0).UTC(), "architecture": arch, "os": "linux",
		"config": map[string]any{
			"User": fmt.Sprintf("%d:%d", user, user), "Entrypoint": []string{entrypoint}, "Cmd": []string{"serve"},
			"Env":          []string{"REMIT_DATA_DIR=" + dataDir, "REMIT_LISTEN=:8080", "REMIT_OPS_LISTEN=:9090", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			"ExposedPorts": map[string]any{"8080/tcp": struct{}{}, "9090/tcp": struct{}{}},
			"Volumes":      map[string]any{dataDir: struct{}{}}, "WorkingDir": dataDir, "Labels": labels, "StopSignal": "SIGTERM",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{root.Digest}},
	})
	settings := describe("application/vnd.oci.image.config.v1+json", config)
	manifest, err2 := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": settings, "layers": []descriptor{root}, "annotations": labels,
	})
	head := describe("application/vnd.oci.image.manifest.v1+json", manifest)
	head.Annotations = map[string]string{"org.opencontainers.image.ref.name": version}
	head.Platform = map[string]string{"architecture": arch, "os": "linux"}
	index, err3 := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []descriptor{head},
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return pack([]file{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644, 0},
		{"index.json", index, 0o644, 0},
		{"blobs/", nil, 0o755, 0},
		{"blobs/sha256/", nil, 0o755, 0},
		{settings.path(), config, 0o644, 0},
		{head.path(), manifest, 0o644, 0},
		{root.path(), rootfs, 0o644, 0},
	})
}
