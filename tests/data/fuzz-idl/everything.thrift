namespace c fuzz
/** Doc. */
typedef list<map<string, set<i64>>> Deep (x.y = "1")
enum Op { ADD = 1, SUB, BIG = 0x7fffffff }
const map<string, list<double>> M = {"a": [1.5, -2e3], "b": []}
const Op O = Op.ADD
union U { 1: i32 a, 2: string b = "x" }
struct S { 1: required i8 a = -1, 2: optional S & next, i64 c = 0xff, 4: uuid id = "123e4567-e89b-12d3-a456-426614174000", 5: binary b }
exception E { 1: string message } (message = "message")
service B { void ping() (idempotent, timeout = "2s") }
service C extends B {
  oneway void go(1: S s),
  Deep deep(1: Deep d = [], 2: U u) throws (1: E e) (cache.ttl = "30s", cache.key = "u"), // behind
  stream<S> both(1: i32 n, stream<U> items), # shell
}
