// expect: n_words.thrift:15:1: error: expected a definition, got 'strcut'
// expect: hint: did you mean 'struct'?
// expect: n_words.thrift:16:1: error: expected a definition, got 'senum'
// expect: n_words.thrift:17:1: error: expected a definition, got 'php_namespace'
// expect: hint: one of: include, namespace, const
// expect: n_words.thrift:18:15: error: 'lsit' is not a container type
// expect: hint: did you mean 'list'?
// expect: n_words.thrift:18:31: error: 'vector' is not a container type
// expect: hint: container types: list<T>, set<T>, map<K, V> and stream<T>
// expect: n_words.thrift:19:13: error: there is no type 'int'
// expect: hint: did you mean 'i32'?
// expect: n_words.thrift:20:8: error: there is no type 'strng'
// expect: hint: did you mean 'string'?
// expect: hint: did you mean 'double'?
strcut A { 1: i32 a }
senum B { "x", "y" }
php_namespace foo
struct C { 1: lsit<i32> x, 2: vector<i32> y }
service S { int a()
  list<strng> b(1: float x), i23 c() }
const i32 D = Op.SUBB
// expect: n_words.thrift:21:15: error: there is no constant or enum value 'Op.SUBB'
// expect: hint: did you mean 'Op.SUB'?
const Op E = ADDD
// expect: n_words.thrift:24:14: error: there is no constant or enum value 'ADDD'
// expect: hint: did you mean 'ADD'?
enum Op { ADD, SUB }
const i32 LIMIT = 5
const i32 F = LIMITS
// expect: hint: did you mean 'LIMIT'?
