// SPDX-License-Identifier: Apache-2.0
namespace * zlib

/** Without a limit of the caller's, at most this many bytes come out: 32 MiB. */
const i64 LIMIT = 33554432

/** The extracted bytes, and the bytes behind the compressed data. */
struct Extracted {
  1: binary data
  /** The bytes behind the end of the compressed data, as they came. */
  2: binary unused_data
}

/** The result of one packet of a stream. */
struct Piece {
  /** The bytes that came out since the piece before; may be empty. */
  1: binary data
  /** Those of this packet that stand behind the end of the compressed data. */
  2: binary unused_data
  /** True from the packet on that completed the compressed data. */
  3: bool finished
}

/** zlib did not write these bytes. */
exception Corrupt {
  /** How many bytes of the input were good. */
  1: i64 offset
  /** How many bytes had come out of them. */
  2: i64 extracted
  /** zlib's own word for it: "incorrect data check", "invalid distance too far back". */
  3: string reason
  4: string message
}

/** The input ended before the compressed data did. */
exception Truncated {
  /** How many bytes of input there were. */
  1: i64 offset
  /** How many bytes had come out of them. */
  2: i64 extracted
  3: string message
}

/** More would come out than the caller wants: found out before memory is spent on it. */
exception TooLarge {
  1: i64 limit
  /** So much of the input was enough for that. */
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
 * A web browser sends `Accept-Encoding: gzip`, and what comes back was compressed like this. The two
 * calls take everything at once. The two streams take packets of any size and give back what can be
 * said so far, so that a file larger than memory goes through a few kilobytes.
 */
service Zlib {
  /**
   * The data, compressed.
   *
   * The level is 0 (stored) to 9 (smallest), -1 for zlib's own choice of 6.
   */
  binary compress(1: binary data, 2: i32 level = -1) throws (1: BadArgument bad) (idempotent = "true")

  /**
   * The data behind it, and what stands behind its end.
   *
   * A kilobyte of input may stand for a megabyte: more than `limit` bytes are refused.
   */
  Extracted decompress(1: binary data, 2: i64 limit = LIMIT) throws (1: Corrupt corrupt, 2: Truncated truncated, 3: TooLarge too_large, 4: BadArgument bad) (idempotent = "true")

  /** Compresses packet by packet; the last pieces come after the caller's end. */
  stream<binary> compressobj(1: stream<binary> packets, 2: i32 level = -1) throws (1: BadArgument bad) (timeout = "30s")

  /**
   * Decompresses packet by packet.
   *
   * Each packet gives one piece, or more where much comes out of it. Packets behind the end of the
   * compressed data come back as `unused_data`. To end the stream before that is `Truncated`.
   */
  stream<Piece> decompressobj(1: stream<binary> packets, 2: i64 limit = LIMIT) throws (1: Corrupt corrupt, 2: Truncated truncated, 3: TooLarge too_large, 4: BadArgument bad) (timeout = "30s")
}
