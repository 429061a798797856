// SPDX-License-Identifier: Apache-2.0
namespace * filestream

/** A line is longer than the server takes; the stream ends there. */
exception LongLine {
  /** Which line, from 1. */
  1: i64 line
  2: i64 limit
  3: string message
}

/** The numbers that wc prints of a text. */
struct Counts {
  1: i64 lines
  2: i64 words
  3: i64 bytes
}

/** More bytes than a terabyte, or fewer than none. */
exception BadSize {
  1: i64 size
  2: string message
}

/**
 * Streams for programs that work with files.
 *
 * Python's `makefile()` makes a file of a socket. `ferry_stream_fopen()` makes a `FILE *` of a
 * stream: read it with getline() or fread(), write it with fprintf() or fwrite(). When the server
 * is lost, `ferror()` says so: the text does not merely end.
 */
service Filestream {
  /** So many bytes of numbered lines, 64 bytes each; the last one may be cut. */
  stream<binary> text(1: i64 bytes) throws (1: BadSize bad_size) (timeout = "30s")

  /** Counts lines, words and bytes of a text. */
  Counts count(1: stream<binary> text) (timeout = "30s")

  /** Gives every line back with its number in front, as soon as it is complete. */
  stream<binary> number(1: stream<binary> text) throws (1: LongLine long_line) (timeout = "30s")
}
