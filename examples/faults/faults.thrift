// SPDX-License-Identifier: Apache-2.0
namespace * faults

/** A system call failed: Python's OSError. */
exception OSError {
  /** The number: 111. */
  1: i32 error_number
  /** Its name: "ECONNREFUSED". */
  2: string name
  /** Its text: "Connection refused". */
  3: string text
  /** The call that failed: "connect". */
  4: string call
  5: string message
}

/** getaddrinfo() failed: Python's socket.gaierror. */
exception GaiError {
  /** Its code: -2. */
  1: i32 code
  /** The code's name: "EAI_NONAME". */
  2: string name
  /** "Name or service not known". */
  3: string text
  4: string host
  5: string message
}

/** The time limit has passed: Python's socket.timeout. */
exception Timeout {
  /** The time that was waited. */
  1: i32 waited_ms
  2: string call
  3: string message
}

/** The text is not a supported URL: Python's ValueError of urllib. */
exception ValueError {
  1: string url
  2: string message
}

/** A high layer's error, around the one of a low layer: Python's urllib.error.URLError. */
exception URLError {
  1: string url
  2: string message
}

/** The server may not connect there. */
exception Forbidden {
  1: string host
  2: i32 port
  3: string message
}

/** The ports of 127.0.0.1 that the server holds for its callers. */
struct HeldPorts {
  /** No program listens: connections are refused. */
  1: i32 closed
  /** A program listens and sends nothing. */
  2: i32 silent
}

/**
 * Errors of a network, raised on purpose.
 *
 * Each fault really happens, in the server, and arrives as an exception with its details.
 * `faults.Http` passes on the errors of its sockets unchanged; `urlopen` wraps them in its own
 * error and keeps the cause, which ferry_error_cause() returns.
 *
 * The server looks up no names on the network: it knows only "localhost" and addresses. It connects
 * only to its own two ports, and to the port in $FAULTS_PORT.
 */
service Faults {
  /** The ports to try. */
  HeldPorts ports() (idempotent = "true")

  /** Connects by TCP and closes again. To the closed port: OSError ECONNREFUSED. */
  void connect(1: string host, 2: i32 port) throws (1: OSError os_error, 2: GaiError gai_error, 3: Forbidden forbidden)

  /** Binds a port that is taken: OSError EADDRINUSE. */
  void bind_taken() throws (1: OSError os_error)

  /** Sends to a peer that has closed: OSError EPIPE or ECONNRESET. */
  void send_to_closed() throws (1: OSError os_error)

  /** Receives from a peer that is silent, with a time limit of 1 to 1000 ms: Timeout. */
  void receive_from_silent(1: i32 timeout_ms) throws (1: OSError os_error, 2: Timeout timeout)

  /** Resolves a name: GaiError. */
  list<string> resolve(1: string host, 2: string port) throws (1: GaiError gai_error)

  /**
   * A GET as urllib does it, by way of faults.Http. Returns the status line.
   *
   * A text that is not a URL is a ValueError; every error of the layer below arrives inside a URLError.
   */
  string urlopen(1: string url) throws (1: ValueError value_error, 2: URLError url_error)
}

/** A low layer, like Python's http.client: errors of its sockets are passed on unchanged. */
service Http {
  /** GET / by HTTP. Returns the status line. An answer must begin within a second. */
  string get(1: string host, 2: i32 port) throws (1: OSError os_error, 2: GaiError gai_error, 3: Timeout timeout, 4: Forbidden forbidden)
}
