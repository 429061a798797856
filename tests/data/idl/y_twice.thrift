// expect: y_twice.thrift:8:32: warning: the element appears twice
// expect: y_twice.thrift:9:62: warning: the element appears twice
// expect: y_twice.thrift:10:27: warning: the element appears twice
// expect: y_twice.thrift:11:37: warning: the key appears twice: the last value wins
// expect: y_twice.thrift:12:47: warning: the element appears twice
// expect: y_twice.thrift:13:35: warning: the key appears twice: the last value wins
// expect: y_twice.thrift:14:35: warning: the element appears twice
const set<list<i32>> A = [[1], [1]]
const set<uuid> B = ["00000000-0000-0000-0000-00000000000a", "{00000000-0000-0000-0000-00000000000A}"]
const set<bool> C = [true,1]
const map<S, i32> D = {{"x": 1}: 1, {"x": 1}: 2} struct S { 1: i32 x }
const set<map<double, set<E>>> F = [{1: [X]}, {1.0: [0]}, {2: []}, {}]
const map<double, i32> G = {1: 2, 1.0: 3}
struct T { 1: set<E> e = [E.X, Y, 0] }
enum E { X, Y }
const list<i32> PLAIN = [7, 7]
const set<i32> FROM_PLAIN = PLAIN
const list<set<i32>> NESTED = PLAINS
const list<list<i32>> PLAINS = [[8, 8]]
const map<string, i32> LAST = {"a": 1, "b": 3, "a": 2}
const S OF_S = {"x": 4, "x": 5}
// expect: const int32_t plain_items[2]
// expect: const int32_t from_plain_items[1]
// expect: {"a", 2},
// expect: {"b", 3},
// expect-not: {"a", 1},
