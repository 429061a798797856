// SPDX-License-Identifier: Apache-2.0
namespace * serial

/** One object may have this many octets: 16 MiB. */
const i64 MAX_OCTETS = 16777216

/** The limit of nested lists and maps. */
const i32 LEVELS = 32

/** Any value of MessagePack but extensions. */
union Value {
  1: bool truth
  2: i64 whole
  3: double real
  4: string text
  5: binary octets
  6: list<Value> items
  7: map<string, Value> fields
  /** Nil: the content is ignored. */
  8: bool nil
}

/** One object of a stream. */
struct Object {
  /** Where it begins, as tell() gives it before reading. */
  1: i64 offset
  /** Where it ends, as tell() gives it afterwards. */
  2: i64 end
  /** Its octets: MessagePack. */
  3: binary packed
}

/** An object, or octets that were left unread. */
union Item {
  1: Object object
  /** The octets behind the last requested object, unchanged. */
  2: binary unread
}

/** The first object, and the octets behind it. */
struct Loaded {
  1: Object object
  2: binary unread
}

/** The octets end inside an object. */
exception Truncated {
  /** How many objects were complete. */
  1: i64 objects
  /** Where the broken one begins. */
  2: i64 offset
  /** The number of its octets that were present. */
  3: i64 received
  4: string message
}

/** No value of MessagePack begins with this octet: the input is not MessagePack from here on. */
exception Garbage {
  1: i64 objects
  /** The position of the octet. */
  2: i64 offset
  3: i32 octet
  4: string message
}

/** The object has too many nested lists and maps; this is reported before they are read. */
exception TooDeep {
  1: i64 objects
  /** The position of the first level beyond the limit. */
  2: i64 offset
  3: i32 limit
  4: string message
}

/** An object is larger than the limit: reported as soon as its size is known. */
exception TooLarge {
  1: i64 objects
  2: i64 offset
  3: i64 limit
  4: string message
}

/**
 * Objects as octets, one after another: MessagePack.
 *
 * Python's pickle runs code that the sender has chosen. It ignores the octets behind the first
 * object, and needs all octets of an object at once. MessagePack is only data, and the end of each
 * object is known from its octets: a stream of objects can be read while it arrives, in any pieces.
 */
service Serial {
  /** The octets of a value: `dumps '{"items": [{"whole": 1}, {"whole": 2}]}'`. */
  binary dumps(1: Value value) (idempotent = "true")

  /** The first object of these octets, and the octets behind it. */
  Loaded loads(1: binary octets) throws (1: Truncated truncated, 2: Garbage garbage, 3: TooDeep too_deep, 4: TooLarge too_large) (idempotent = "true")

  /**
   * Each object as soon as it is complete.
   *
   * With `count` above 0, this many objects are read, and the octets behind them are returned as
   * `unread`. With 0 all objects are read, and the stream must end behind an object.
   */
  stream<Item> load(1: stream<binary> octets, 2: i32 count = 0) throws (1: Truncated truncated, 2: Garbage garbage, 3: TooDeep too_deep, 4: TooLarge too_large) (timeout = "30s")
}
