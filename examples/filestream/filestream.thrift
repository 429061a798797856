// SPDX-License-Identifier: Apache-2.0
namespace * filestream

/** A line is longer than the limit of the server; the stream ends there. */
exception LongLine {
  /** The number of the line, from 1. */
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

/** More than a terabyte, or a negative number. */
exception BadSize {
  1: i64 size
  2: string message
}

/**
 * Streams for programs that work with files.
 *
 * Python's `makefile()` makes a file of a socket. `ferry_stream_fopen()` makes a `FILE *` of a
 * stream: read it with getline() or fread(), write it with fprintf() or fwrite(). If the server is
 * lost, `ferror()` is true, so a broken text does not look like a complete one.
 */
service Filestream {
  /** The given number of bytes, as numbered lines of 64 bytes; the last line may be cut. */
  stream<binary> text(1: i64 bytes) throws (1: BadSize bad_size) (timeout = "30s")

  /** Counts lines, words and bytes of a text. */
  Counts count(1: stream<binary> text) (timeout = "30s")

  /** Returns every line with its number in front, as soon as the line is complete. */
  stream<binary> number(1: stream<binary> text) throws (1: LongLine long_line) (timeout = "30s")
}
