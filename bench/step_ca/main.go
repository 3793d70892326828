// SPDX-FileCopyrightText: 2026 The fleetpki authors
// SPDX-License-Identifier: Apache-2.0

// A step-ca server made of the library that Debian packages (golang-github-smallstep-certificates-dev), which
// comes without the program. Usage: step-ca CONFIG
package main

import (
	"log"
	"os"

	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/ca"
	_ "github.com/smallstep/certificates/kms/softkms"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: step-ca CONFIG")
	}
	configuration, err := config.LoadConfiguration(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server, err := ca.New(configuration)
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Run(); err != nil {
		log.Fatal(err)
	}
}
