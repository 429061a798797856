// expect: n_strings.thrift:5:19: error: unknown escape '\x'
// expect: n_strings.thrift:6:18: error: the string never ends
// expect: error: unexpected character '@'
// expect: error: the comment never ends
const string A = "\x41"
const string B = "never
const i32 C = 1 @
/* never
