// expect: n_twice.thrift:9:32: error: the element is there twice
// expect: n_twice.thrift:10:62: error: the element is there twice
// expect: n_twice.thrift:11:27: error: the element is there twice
// expect: n_twice.thrift:12:37: error: the key is there twice
// expect: n_twice.thrift:13:47: error: the element is there twice
// expect: n_twice.thrift:14:35: error: the key is there twice
// expect: n_twice.thrift:15:35: error: the element is there twice
// expect-not: error: the key is there twice in
const set<list<i32>> A = [[1], [1]]
const set<uuid> B = ["00000000-0000-0000-0000-00000000000a", "{00000000-0000-0000-0000-00000000000A}"]
const set<bool> C = [true,1]
const map<S, i32> D = {{"x": 1}: 1, {"x": 1}: 2} struct S { 1: i32 x }
const set<map<double, set<E>>> F = [{1: [X]}, {1.0: [0]}, {2: []}, {}]
const map<double, i32> G = {1: 2, 1.0: 3}
struct T { 1: set<E> e = [E.X, Y, 0] }
enum E { X, Y }
