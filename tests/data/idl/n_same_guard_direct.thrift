// expect: n_same_guard_direct.thrift:3:9: error: the headers of
// expect: would both have the include guard 'N_SAME_GUARD_DIRECT_H'
include "broken/n_same-guard_direct.thrift"
