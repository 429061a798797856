// expect: n_missing_include.thrift:3:9: error: there is no file 'nowhere.thrift'
// expect: hint: it is looked for beside this file
include "nowhere.thrift"
