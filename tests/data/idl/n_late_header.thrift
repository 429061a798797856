// expect: n_late_header.thrift:8:1: error: includes and namespaces come before the first definition
// expect: hint: move it to the top of the file
// expect: n_late_header.thrift:7:11: note: the first definition is here
// expect: n_late_header.thrift:9:1: error: includes and namespaces come before
// expect: n_late_header.thrift:10:1: error: includes and namespaces come before
// expect: n_late_header.thrift:11:12: error: there is no type 'Foo'
const i32 A = 1
namespace * late
include "include/shared.thrift"
cpp_include "<vector>"
struct S { Foo x }
