package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// helmFuncs are as much of Helm's language as the chart may use besides that of text/template.
var helmFuncs = template.FuncMap{
	"quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
	"upper": strings.ToUpper,
	"default": func(other, v any) any {
		if v == nil || reflect.ValueOf(v).IsZero() {
			return other
		}
		return v
	},
	"required": func(message string, v any) (any, error) {
		if v == nil || v == "" {
			return nil, errors.New(message)
		}
		return v, nil
	},
	"toYaml": func(v any) (string, error) {
		raw, err := yaml.Marshal(v)
		return strings.TrimSuffix(string(raw), "\n"), err
	},
	"nindent": func(n int, text string) string {
		space := "\n" + strings.Repeat(" ", n)
		return space + strings.ReplaceAll(text, "\n", space)
	},
	"urlParse": func(raw string) (map[string]string, error) {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, err
		}
		return map[string]string{"hostname": u.Hostname()}, nil
	},
}

// chart renders the chart with these values over its own, and returns the objects by kind and name.
func chart(t *testing.T, values map[string]any) (objects map[string]map[string]any, err error) {
	t.Helper()
	all, about := map[string]any{}, map[string]any{}
	strict(t, "helm/remit/values.yaml", &all)
	strict(t, "helm/remit/Chart.yaml", &about)
	for key, value := range values {
		if _, known := all[key]; !known {
			t.Fatalf("values.yaml does not tell of %q", key)
		}
		all[key] = value
	}
	data := map[string]any{
		"Values": all, "Release": map[string]any{"Name": "acme"}, "Chart": map[string]any{"AppVersion": about["appVersion"]},
	}
	objects = map[string]map[string]any{}
	for _, file := range must[[]string](t)(filepath.Glob("helm/remit/templates/*")) {
		parsed, err := template.New(file).Option("missingkey=error").Funcs(helmFuncs).Parse(string(must[[]byte](t)(os.ReadFile(file))))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := parsed.Execute(&out, data); err != nil {
			return nil, err
		}
		if filepath.Ext(file) != ".yaml" {
			continue
		}
		d := yaml.NewDecoder(&out)
		for {
			var object map[string]any
			err := d.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, out.String())
			}
			if object != nil {
				objects[fmt.Sprint(object["kind"], " ", object["metadata"].(map[string]any)["name"])] = object
			}
		}
	}
	return objects, nil
}

// pod is the first container of a Deployment.
type pod struct {
	Env          []struct{ Name, Value string }
	Image        string
	Ports        []map[string]any
	VolumeMounts []map[string]any `yaml:"volumeMounts"`
	Rest         map[string]any   `yaml:",inline"`
}

func podOf(t *testing.T, deployment map[string]any) (c pod, env map[string]string) {
	t.Helper()
	var d struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []pod }
			}
		}
	}
	if err := yaml.Unmarshal(must[[]byte](t)(yaml.Marshal(deployment)), &d); err != nil {
		t.Fatal(err)
	}
	c, env = d.Spec.Template.Spec.Containers[0], map[string]string{}
	for _, e := range c.Env {
		if strings.HasSuffix(e.Name, "_FILE") && e.Name != "REMIT_MASTER_KEY_FILE" {
			e.Value = os.DevNull
		}
		env[e.Name] = e.Value
	}
	return c, env
}

// TestHelm: the chart's objects are those of kubernetes/remit.yaml, with settings that the program knows.
func TestHelm(t *testing.T) {
	if _, err := chart(t, nil); err == nil || !strings.Contains(err.Error(), "issuer") {
		t.Errorf("without an issuer: %v", err)
	}
	issuer := map[string]any{"issuer": "https://auth.example.com"}
	objects := must[map[string]map[string]any](t)(chart(t, issuer))
	var names []string
	for name := range objects {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"Deployment acme", "NetworkPolicy acme", "PodDisruptionBudget acme", "Service acme", "Service acme-ops"}; !slices.Equal(names, want) {
		t.Errorf("objects %q, want %q", names, want)
	}
	c, env := podOf(t, objects["Deployment acme"])
	if got := settings(t, env); got["issuer"] != "https://auth.example.com" {
		t.Errorf("settings %v", got)
	}
	var plain map[string]any
	if err := yaml.NewDecoder(bytes.NewReader(must[[]byte](t)(os.ReadFile("kubernetes/remit.yaml")))).Decode(&plain); err != nil {
		t.Fatal(err)
	}
	if want, _ := podOf(t, plain); !reflect.DeepEqual(c, want) {
		t.Errorf("the chart's pod and that of kubernetes/remit.yaml differ:\n%v\n%v", c, want)
	}

	if _, err := chart(t, map[string]any{"issuer": "https://auth.example.com", "admin": true}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("an administration without TLS: %v", err)
	}
	objects = must[map[string]map[string]any](t)(chart(t, map[string]any{
		"issuer": "https://auth.example.com", "admin": true, "existingTLS": "certificate", "settings": map[string]any{"operator": "Acme \"ID\"", "remember_days": "0"},
		"ingress":    map[string]any{"enabled": true, "className": "nginx", "annotations": map[string]any{"a": "b"}, "tlsSecret": "public"},
		"monitoring": map[string]any{"namespace": "watch", "serviceMonitor": true},
	}))
	_, env = podOf(t, objects["Deployment acme"])
	if got := settings(t, env); got["operator"] != `Acme "ID"` || got["remember_days"] != "0" || got["admin_listen"] != ":8443" || got["tls_key"] != "/etc/remit-tls/tls.key" {
		t.Errorf("settings %v", got)
	}
	if objects["Ingress acme"] == nil || objects["ServiceMonitor acme"] == nil {
		t.Errorf("no Ingress or ServiceMonitor in %v", objects)
	}
}
