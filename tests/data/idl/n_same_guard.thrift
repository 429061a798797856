// expect: n_same_guard.thrift:4:9: error: the headers of
// expect: would both have the include guard 'N_SAME_GUARD_H'
// expect: hint: give one of the files another name
include "broken/via.thrift"
struct Mine { 1: via.Via via }
