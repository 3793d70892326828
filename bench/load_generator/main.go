// SPDX-FileCopyrightText: 2026 The fleetpki authors
// SPDX-License-Identifier: Apache-2.0

// Puts load on an HTTP server: requests made beforehand, kept connections, each with one request under way.
//
// Usage: load_generator URL CONNECTIONS SECONDS GOOD_STATUS GOOD_TEXT [ANCHORS [CERTIFICATE KEY]]
//
// Reads the requests from standard input, one JSON object {"path", "headers", "body"} a line, and writes
// {"succeeded", "failed", "duration_s"}. An answer is good with that status and that text in its body.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type request struct {
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func main() {
	if len(os.Args) < 6 {
		log.Fatal("usage: load_generator URL CONNECTIONS SECONDS GOOD_STATUS GOOD_TEXT [ANCHORS [CERTIFICATE KEY]]")
	}
	connections, seconds, goodStatus := number(2), number(3), number(4)
	goodText := []byte(os.Args[5])
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: tlsConfig(os.Args[6:]), MaxIdleConnsPerHost: connections},
		Timeout:   60 * time.Second,
	}
	requests := read()
	var next, succeeded, failed int64
	var working sync.WaitGroup
	started := time.Now()
	end := started.Add(time.Duration(seconds) * time.Second)
	for i := 0; i < connections; i++ {
		working.Add(1)
		go func() {
			defer working.Done()
			for time.Now().Before(end) {
				mine := atomic.AddInt64(&next, 1) - 1
				if mine >= int64(len(requests)) {
					return
				}
				if send(client, os.Args[1], requests[mine], goodStatus, goodText) {
					atomic.AddInt64(&succeeded, 1)
				} else {
					atomic.AddInt64(&failed, 1)
				}
			}
		}()
	}
	working.Wait()
	fmt.Printf("{\"succeeded\": %d, \"failed\": %d, \"duration_s\": %f}\n",
		succeeded, failed, time.Since(started).Seconds())
}

func number(argument int) int {
	value, err := strconv.Atoi(os.Args[argument])
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func read() []request {
	var requests []request
	lines := bufio.NewReader(os.Stdin)
	for decoder := json.NewDecoder(lines); ; {
		var one request
		if err := decoder.Decode(&one); err == io.EOF {
			return requests
		} else if err != nil {
			log.Fatal(err)
		}
		requests = append(requests, one)
	}
}

func tlsConfig(files []string) *tls.Config {
	config := &tls.Config{}
	if len(files) > 0 {
		anchors, err := os.ReadFile(files[0])
		if err != nil {
			log.Fatal(err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(anchors) {
			log.Fatalf("no certificate in %s", files[0])
		}
	}
	if len(files) > 2 {
		certificate, err := tls.LoadX509KeyPair(files[1], files[2])
		if err != nil {
			log.Fatal(err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config
}

func send(client *http.Client, url string, what request, goodStatus int, goodText []byte) bool {
	post, err := http.NewRequest(http.MethodPost, url+what.Path, bytes.NewReader([]byte(what.Body)))
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range what.Headers {
		post.Header.Set(name, value)
	}
	response, err := client.Do(post)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == goodStatus && bytes.Contains(body, goodText)
}
