// expect: n_syntax.thrift:8:19: error: expected the field's name, got '}'
// expect: n_syntax.thrift:9:15: error: expected a type, got '5'
// expect: n_syntax.thrift:10:19: error: expected '(', got ')'
// expect: n_syntax.thrift:10:31: error: expected a type, got ')'
// expect: error: 'struct' is a keyword
// expect: error: expected a definition, got 'nonsense'
// expect: error: expected a whole number, got the string "x"
struct A { 1: i32 }
struct B { 1: 5 a, 2: i32 b }
service C { void a), i32 b(1: ) }
struct struct { 1: i32 a }
nonsense here
enum D { X = "x", Y }
const i32 = 5
// expect: error: expected a name, got '='
struct E { 1: void v }
// expect: hint: only a result can be void
// expect-not: got ','
