// expect: n_escapes.thrift:8:19: error: unknown escape '\0'
// expect: n_escapes.thrift:9:19: error: unknown escape '\u'
// expect: n_escapes.thrift:10:18: error: the string never ends
// expect: hint: a line break in it is written \n
// expect: n_escapes.thrift:11:18: error: the string never ends
// expect: n_escapes.thrift:12:26: error: the string never ends
// expect-not: there is no constant
const string A = "\0"
const string B = "\u00e4"
const string C = 'one
const string D = "two\
const string E = 'three' "
