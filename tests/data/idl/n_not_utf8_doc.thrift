// expect: n_not_utf8_doc.thrift:5:14: error: the file is not UTF-8
// expect: n_not_utf8_doc.thrift:7:28: error: there is no type
// expect-not: unexpected

/** GrÃ¼ÃŸe, øˆ€€ */
# À€ í € ÿ
struct Aþ { 1: i32   a, 2: Foo b }
