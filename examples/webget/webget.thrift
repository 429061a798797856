# SPDX-License-Identifier: Apache-2.0
namespace * webget

/** The implementation of HTTP. */
enum Layer {
  /** libcurl does everything. */
  LIBRARY = 1
  /** The service's own HTTP on a socket: http URLs. */
  SOCKET = 2
  /** The service's own HTTP on TLS: https URLs. */
  TLS = 3
}

/** How the end of the response's body is marked. */
enum Framing {
  /** Content-Length: the number of bytes. */
  LENGTH = 1
  /** Transfer-Encoding: chunked: blocks with their lengths, the last one empty. */
  CHUNKED = 2
  /** Connection: close: until the server closes the connection. */
  CLOSE = 3
  /** The status has no body: 204, 304. */
  BODILESS = 4
}

struct Header {
  1: string name
  2: string value
}

struct Response {
  /** "HTTP/1.1" */
  1: string version
  2: i32 status
  3: string reason
  /** The headers, unchanged and in their order. */
  4: list<Header> headers
  5: Framing framing
  6: binary body
  /** The request as it was sent. */
  7: string request
  /** The connection was used by an earlier request. */
  8: bool reused
}

/** Connections of one layer since the start of the server. */
struct Connections {
  1: i64 opened
  2: i64 requests
  /** Requests that needed no new connection. */
  3: i64 reused
}

/** The text is not a URL that can be fetched, or the layer does not speak its scheme. */
exception BadUrl {
  1: string url
  2: string message
}

/** WEBGET_ALLOW does not list the host. */
exception NotAllowed {
  1: string host
  2: i32 port
  3: string message
}

/** The name was not resolved, or the connection failed. */
exception Unreachable {
  1: string host
  /** EAI_…, or 0 if the layer does not report it. */
  2: i32 gai_code
  /** errno, or 0. */
  3: i32 os_errno
  4: string message
}

/** The certificate is not valid for this host, or the handshake failed. */
exception TlsFailure {
  1: string host
  2: string message
}

/** The answer is not HTTP. */
exception Malformed {
  /** The number of valid bytes; -1: the layer does not report it. */
  1: i64 offset
  2: string message
}

/** The connection ended inside the response. */
exception Truncated {
  1: Framing framing
  /** Of LENGTH. */
  2: optional i64 expected
  /** Bytes of the body. */
  3: i64 received
  4: string message
}

/** The response is larger than the limit. */
exception TooLarge {
  1: i64 limit
  2: string message
}

/**
 * One GET at three layers.
 *
 * The response is the same on every layer. Redirects are not followed. Connections are kept
 * and used again, as a Session of Python's requests does.
 */
service Webget {
  /**
   * Fetches a URL.
   *
   * `parameters` are quoted, as quote_plus() does, and added to the URL's own query. `limit` bounds
   * the body: 1 to 16777216 bytes.
   */
  Response get(
    1: string url,
    2: Layer layer = Layer.LIBRARY,
    3: map<string, string> parameters = {},
    4: i64 limit = 4194304
  ) throws (1: BadUrl bad_url, 2: NotAllowed not_allowed, 3: Unreachable unreachable, 4: TlsFailure tls_failure, 5: Malformed malformed, 6: Truncated truncated, 7: TooLarge too_large) (timeout = "15s")

  Connections count(1: Layer layer)

  /** Closes all kept connections. */
  void hang_up()
}
