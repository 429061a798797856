// expect: /* About the file. */
// expect:     /* Like blood. */
// expect:     int32_t first; /* The first one. */
// expect: /* Does it.
// expect:  * what: What. */
/** About the file. */
namespace * comments

/**
 * A struct that is explained:
 *
 *   - on several lines, with a "quote" and a \ backslash,
 *   - and with something like an end: * / or // or ??/.
 */
struct Explained { // behind the bracket
  /** The first one. */
  1: i32 first; # behind a field
  // on its own
  /* on its own, too */

  /** The second one,
      without stars. */
  2: i32 second, /* behind */ // both
  /**/
  3: /* inside */ i32 /* a */ third /* field */
  // at the end
}

/** Colours. */
enum Colour {
  /** Like blood. */
  RED, // r
  GREEN // g
  // last
}

/** The service. */
service Comments {
  /** Does it. */
  void doit(/** What. */ 1: i32 what), // done
  # nothing more
} // end of service
// end of file
