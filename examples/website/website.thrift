# SPDX-License-Identifier: Apache-2.0
namespace * website

struct Header {
  1: string name
  2: string value
}

/** The beginning of a response. */
struct Head {
  1: i32 status
  2: string reason
  3: list<Header> headers
  /** The length of the body in bytes. Absent: it is not known yet. */
  4: optional i64 length
}

/** The head first, then pieces of the body. */
union Part {
  1: Head head
  2: binary body
}

/** The environment lacks a key that WSGI requires. */
exception BadEnvironment {
  1: string key
  2: string message
}

/**
 * Web applications behind an HTTP server.
 *
 * `website-front` speaks HTTP with browsers and turns each request into one call. Python's WSGI is the
 * model: the request comes as an environment, the response goes back as status, headers and body.
 *
 *   /              links to the others
 *   /hello         "Hello World"
 *   /environ       the environment, as it came
 *   /files/        the folder WEBSITE_FOLDER: listings and files
 *   /slow          pieces of text with pauses between
 */
service Website {
  /**
   * Answers one request.
   *
   * The body is sent in pieces while it is made, so a file of any size takes constant memory, and
   * the work ends when the reader disconnects.
   */
  stream<Part> handle(1: map<string, string> environ, 2: binary body) throws (1: BadEnvironment bad_environment) (timeout = "30s")
}
