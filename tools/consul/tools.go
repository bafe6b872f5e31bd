//go:build tools

// Package tools names Consul's command as an import, so that go.mod and go.sum pin it and all that it needs.
package tools

import _ "github.com/hashicorp/consul"
