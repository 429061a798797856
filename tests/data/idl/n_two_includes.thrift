// expect: n_two_includes.thrift:3:9: error: two included files are named 'shared'
include "include/shared.thrift"
include "broken/shared.thrift"
