// SPDX-License-Identifier: Apache-2.0
namespace * urls

/** A query may have this many pairs. */
const i32 MAX_PAIRS = 1000

/** A URL, split into its parts: scheme://netloc/path?query#fragment. An absent part is empty. */
struct Parts {
  /** In small letters. */
  1: string scheme
  2: string netloc
  3: string path
  4: string query
  5: string fragment
  /** Of the netloc: user:password@hostname:port. `urlunsplit` does not read these four. */
  6: optional string username
  7: optional string password
  /** In small letters, an IPv6 address without its brackets. */
  8: optional string hostname
  9: optional i32 port
}

/** A name and a value of a query. */
struct Pair {
  1: string name
  2: string value
}

/** The text is not a URL. */
exception BadUrl {
  /** The index of the octet, from 0. */
  1: i32 position
  2: string reason
  3: string message
}

/** The text has %00: texts in ferry cannot contain U+0000. */
exception NotText {
  /** The index of the %00, from 0. */
  1: i32 position
  2: string message
}

/** The query has more pairs than MAX_PAIRS. */
exception TooManyPairs {
  1: i32 limit
  2: string message
}

/**
 * URLs: splitting, joining and resolving them, and quoting text for them.
 *
 * A text that goes into a URL must be quoted: an & in it would begin another field, a # would end
 * the query, and a space the request.
 */
service Urls {
  /** The parts: `urlsplit '"https://www.google.com/search?q=qpod&btnI=yes"'`. */
  Parts urlsplit(1: string url) throws (1: BadUrl bad_url) (idempotent = "true")

  /** The URL that has these parts. */
  string urlunsplit(1: Parts parts) (idempotent = "true")

  /** Resolves a reference in the document `base`: RFC 3986, section 5.2. */
  string urljoin(1: string base, 2: string reference) throws (1: BadUrl bad_url) (idempotent = "true")

  /** Letters, digits, _.-~ and the characters of `safe` stay; every other octet becomes %XX. */
  string quote(1: string text, 2: string safe = "/") (idempotent = "true")

  /** Quotes a field of a query: a space becomes +. */
  string quote_plus(1: string text, 2: string safe = "") (idempotent = "true")

  /** Each %XX becomes an octet; octets that are not UTF-8 become U+FFFD. */
  string unquote(1: string text) throws (1: NotText not_text) (idempotent = "true")

  /** Unquotes a field of a query: a + becomes a space. */
  string unquote_plus(1: string text) throws (1: NotText not_text) (idempotent = "true")

  /** The values of each name of a query. A name without a value counts with `keep_blank_values`. */
  map<string, list<string>> parse_qs(1: string query, 2: bool keep_blank_values = false) throws (1: NotText not_text, 2: TooManyPairs too_many) (idempotent = "true")

  /** The pairs of a query, in order. */
  list<Pair> parse_qsl(1: string query, 2: bool keep_blank_values = false) throws (1: NotText not_text, 2: TooManyPairs too_many) (idempotent = "true")

  /** The query that has these pairs. */
  string urlencode(1: list<Pair> pairs) (idempotent = "true")
}
