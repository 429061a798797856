// SPDX-License-Identifier: Apache-2.0
namespace * zlib

/** The limit of the output if the caller sets no limit: 32 MiB. */
const i64 LIMIT = 33554432

/** The extracted bytes, and the bytes behind the compressed data. */
struct Extracted {
  1: binary data
  /** The bytes behind the end of the compressed data, unchanged. */
  2: binary unused_data
}

/** The result of one packet of a stream. */
struct Piece {
  /** The output since the previous piece; may be empty. */
  1: binary data
  /** The bytes of this packet behind the end of the compressed data. */
  2: binary unused_data
  /** True from the packet on that completed the compressed data. */
  3: bool finished
}

/** zlib did not write these bytes. */
exception Corrupt {
  /** The number of valid bytes of the input. */
  1: i64 offset
  /** The number of bytes that were extracted from them. */
  2: i64 extracted
  /** zlib's reason: "incorrect data check", "invalid distance too far back". */
  3: string reason
  4: string message
}

/** The input ended before the compressed data did. */
exception Truncated {
  /** The number of input bytes. */
  1: i64 offset
  /** The number of bytes that were extracted from them. */
  2: i64 extracted
  3: string message
}

/** The output would exceed the caller's limit; this is reported before memory is allocated. */
exception TooLarge {
  1: i64 limit
  /** The number of input bytes that reach the limit. */
  2: i64 offset
  3: string message
}

/** An argument is outside its range. */
exception BadArgument {
  /** Which one. */
  1: string name
  2: i64 value
  3: string message
}

/**
 * Compression by zlib, in one call or as a stream.
 *
 * A web browser sends `Accept-Encoding: gzip`, and the response is compressed in this way. The two
 * calls take all data at once. The two streams take packets of any size and return the output so
 * far, so that a file larger than memory needs only a few kilobytes.
 */
service Zlib {
  /**
   * The data, compressed.
   *
   * The level is 0 (stored) to 9 (smallest), -1 for zlib's own choice of 6.
   */
  binary compress(1: binary data, 2: i32 level = -1) throws (1: BadArgument bad) (idempotent = "true")

  /**
   * The extracted data, and the bytes behind the end of the compressed data.
   *
   * A kilobyte of input may expand to a megabyte: more than `limit` bytes are refused.
   */
  Extracted decompress(1: binary data, 2: i64 limit = LIMIT) throws (1: Corrupt corrupt, 2: Truncated truncated, 3: TooLarge too_large, 4: BadArgument bad) (idempotent = "true")

  /** Compresses packet by packet; the last pieces come after the caller's end. */
  stream<binary> compressobj(1: stream<binary> packets, 2: i32 level = -1) throws (1: BadArgument bad) (timeout = "30s")

  /**
   * Decompresses packet by packet.
   *
   * Each packet gives one piece, or several if its output is large. Packets behind the end of the
   * compressed data are returned as `unused_data`. Ending the stream before the end of the
   * compressed data is `Truncated`.
   */
  stream<Piece> decompressobj(1: stream<binary> packets, 2: i64 limit = LIMIT) throws (1: Corrupt corrupt, 2: Truncated truncated, 3: TooLarge too_large, 4: BadArgument bad) (timeout = "30s")
}
