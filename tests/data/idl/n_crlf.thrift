// expect: n_crlf.thrift:6:6: error: there is no type 'Foo'
// expect:     6 |   1: Foo x
// expect:       |      ^~~
// expect: n_crlf.thrift:8:18: error: the string never ends
struct A {
  1: Foo x
}
const string B = "\
