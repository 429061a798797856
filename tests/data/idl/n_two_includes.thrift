// expect: n_two_includes.thrift:4:9: error: two included files are named 'shared'
include "include/shared.thrift"
// Twice the same one could be told from itself, but says nothing.
include "include/../include/shared.thrift"
