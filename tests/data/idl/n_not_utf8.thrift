// expect: n_not_utf8.thrift:5:19: error: the file is not UTF-8
// expect: hint: save it as UTF-8
// expect:     5 | const string A = "\xff"
// expect:       |                   ^~~~
const string A = "ÿ"
