// expect: broken/types.thrift:1:15: error: there is no type 'Nothing'
// expect: n_broken_include.thrift:5:15: error: there is no type 'types.Missing'
// expect: hint: did you mean 'types.Missed'?
include "broken/types.thrift"
struct B { 1: types.Missing m }
