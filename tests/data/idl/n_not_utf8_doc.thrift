// expect: n_not_utf8_doc.thrift:4:9: error: the file is not UTF-8
// expect: n_not_utf8_doc.thrift:4:28: error: there is no type
// expect-not: unexpected
struct A¾ { 1: i32 à a, 2: Foo b }
