namespace * annotations (java.package = "x")

typedef list<map<set<i32> (python.immutable = ""), map<i32, set<list<map<i32, string (unicode.encoding = "UTF-8")>> (a)>>>> nested (b = "c", b = "d")

struct Foo {
  1: i32 bar (presence = "required", deprecated)
  2: string (cpp.type = "x") baz (a = "1"; b = "2", c)
  3: list<string (max = "5")> (size = "3") qux
} (
  cpp.type = "DenseFoo",
  python.type = "DenseFoo",
  annotation.without.value,
)

exception FooError { 1: i32 code, 2: string text } (message = "text", x = "quote \" and \\ back\nslash")
enum E { A = 1 (x = "y"), B } (z)
union U { 1: i32 a (x) } (y)

service Annotated {
  void slow() (timeout = "2s", idempotent = "true", deprecated = "use fast")
  i32 (range = "0..9") fast(1: i32 (unit = "ms") x (min = "0")) throws (1: FooError e (y = "z")) (idempotent, cache.ttl = "30s")
  void plain() (idempotent = "false", anything = "goes")
} (a.b.c = "d", deprecated)

struct Placed {
  1: Foo (x) foo, 2: map<string (k), binary (v)> (m) map (f), 3: uuid (u) id, 4: bool (b; c = "d") on = true (e),
  5: list<Foo (f)> (l) foos, 6: set<E (g)> (s) es
} (only)
typedef Foo (t) Renamed (r)
const i32 (c) NUMBER = 5
