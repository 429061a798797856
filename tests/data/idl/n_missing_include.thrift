// expect: n_missing_include.thrift:3:9: error: there is no file 'nowhere.thrift'
// expect: hint: the compiler looks beside this file
include "nowhere.thrift"
