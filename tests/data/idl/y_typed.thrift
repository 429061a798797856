/** Every shape of method there is, for the tests. */
namespace * typed

exception DivisionByZero { 1: i32 dividend, 2: string message }
exception Huge { 1: binary data }
struct Range { 1: i32 low, 2: i32 high, 3: optional i32 step = 1 }
enum Mood { CALM = 1, CROSS = 2 }
union Shape { 1: double radius, 2: Range range }

/** A field of every kind, to be got wrong. */
struct Person {
  1: string name, 2: i32 age, 3: optional Person parent
  4: list<Range> ranges = [], 5: map<string, i8> marks = {}, 6: set<uuid> ids = []
  7: optional Shape shape, 8: optional Mood mood, 9: optional bool happy, 10: optional double weight
  11: optional binary raw, 12: optional map<i32, list<Person>> friends, 13: optional i16 size
}

service Typed {
  i64 add(1: i32 a, 2: i32 b) (idempotent = "true")
  /** Whole-number division. */
  i64 div(1: i32 a, 2: i32 b) throws (1: DivisionByZero by_zero) (timeout = "2s")
  list<i32> numbers(1: Range range)
  string greet(1: string name, 2: optional string title)
  binary reverse(1: binary data)
  uuid same(1: uuid id)
  Mood turn(1: Mood now)
  Shape echo(1: Shape shape)
  map<string, i32> count(1: list<string> words)
  double half(1: double x = 3)
  bool flip(1: bool x)
  void nothing()
  oneway void note(1: string text)
  i32 notes()
  i32 forgets()
  i32 unserved()
  string bad_answer()
  void explode() throws (1: Huge huge)
  i64 later(1: i32 a)
  stream<i32> primes(1: i32 below)
  stream<Range> ranges(1: i32 n)
  i64 sum(1: stream<i32> numbers)
  stream<string> talk(1: stream<string> words)
  i32 meet(1: Person user, 2: optional i64 at)
}
