// expect: n_headers.thrift:8:9: error: expected the file's name in quotes, got 'foo'
// expect: n_headers.thrift:9:9: error: cannot read
// expect: n_headers.thrift:10:11: error: expected a language or '*', got the string "x"
// expect: n_headers.thrift:12:11: error: expected a definition, got '*'
// expect: n_headers.thrift:12:14: error: unexpected character '.'
// expect: n_headers.thrift:13:9: error: cannot read
// expect: n_headers.thrift:15:1: error: expected the file's name in quotes
include foo
include ""
namespace "x" y
namespace c
namespace * a..b
include "."
cpp_include
struct A { }
